/**
 * The events of a watch: one JSON object a line. A line that is no event ends the watch with an error: whatever wrote it may
 * have written, or left out, more. A line that is cut short is only a connection that was lost.
 */
import { apiVersionOf } from "./objects.ts";
import type { KubeObject, ResourceType } from "./objects.ts";
import { errorOfStatus } from "./errors.ts";
import { badAnswer, connectionFailed, shown } from "./transport.ts";

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: KubeObject }
  /** Nothing happened up to this version. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

/** More than etcd can hold of one object, several times over; a line without an end must not eat the memory. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;

/** @throws ClusterError */
export async function* watchEvents(
  action: string,
  type: ResourceType,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<WatchEvent, void> {
  for await (const line of lines(action, chunks)) yield eventOf(action, type, line);
}

async function* lines(action: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pieces.push(chunk.subarray(start, end));
      const line = textOf(pieces);
      pieces = [];
      pieceBytes = 0;
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    pieceBytes += chunk.length - start;
    if (pieceBytes > LINE_BYTES_MAX) throw badAnswer(action, `an event is longer than ${LINE_BYTES_MAX} bytes`);
  }
  const rest = textOf(pieces);
  if (rest.trim() !== "") throw connectionFailed(action, "the stream ended in the middle of an event");
}

const textOf = (pieces: readonly Buffer[]): string =>
  (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)).toString("utf8");

function eventOf(action: string, type: ResourceType, line: string): WatchEvent {
  let event: {
    readonly type?: unknown;
    readonly object?: { -readonly [field in keyof KubeObject]?: KubeObject[field] };
  };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (error) {
    throw badAnswer(action, `an event is no JSON: ${shown(line)}`, error);
  }
  const { object } = event;
  if (typeof object !== "object" || object === null) throw badAnswer(action, `an event has no object: ${shown(line)}`);
  switch (event.type) {
    case "ERROR":
      throw errorOfStatus(action, object);
    case "BOOKMARK":
      return { type: event.type, resourceVersion: versionOf(action, object, line) };
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      versionOf(action, object, line);
      if (typeof object.metadata?.name !== "string") throw badAnswer(action, `an event has no name: ${shown(line)}`);
      object.apiVersion ??= apiVersionOf(type);
      object.kind ??= type.kind;
      return { type: event.type, object: object as KubeObject };
    default:
      throw badAnswer(action, `an event is of an unknown type: ${shown(line)}`);
  }
}

function versionOf(action: string, object: Partial<KubeObject>, line: string): string {
  const version = object.metadata?.resourceVersion;
  if (typeof version !== "string" || version === "")
    throw badAnswer(action, `an event has no resource version: ${shown(line)}`);
  return version;
}
