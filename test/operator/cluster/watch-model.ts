/**
 * A server's side of list and watch, in memory: objects, a history of events that is cut off now and then, and ways to
 * misbehave. What a watch may be told, and when it must list again, is as the API server has it.
 */
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import type { ListOptions, ListPage, WatchOptions } from "../../../src/operator/cluster/client.ts";
import type { KubeObject, ResourceType } from "../../../src/operator/cluster/objects.ts";
import { RESOURCES, apiVersionOf } from "../../../src/operator/cluster/objects.ts";
import type { WatchEvent } from "../../../src/operator/cluster/watch-stream.ts";

export const refused = (status: number, reason: string, fields: Partial<ClusterError> = {}): ClusterError =>
  new ClusterError("look", { status, reason, detail: fields.detail ?? reason, ...fields });

export const notServed = (): ClusterError => refused(404, "HTTP404", { detail: "answered 404: 404 page not found" });
export const lost = (): ClusterError => refused(0, "ConnectionFailed");

interface Past {
  readonly version: number;
  readonly event: WatchEvent;
}

/** A watch that is open. */
interface Stream {
  next: number;
  readonly wake: () => void;
  failure: ClusterError | "end" | undefined;
  isSilent: boolean;
}

export class WatchModel {
  readonly type: ResourceType = RESOURCES.configMap;
  readonly objects = new Map<string, KubeObject>();
  #past: Past[] = [];
  #forgottenTo = 0;
  #version = 1000;
  readonly #streams = new Set<Stream>();
  lists = 0;
  watches = 0;
  watchesAtOnceMax = 0;
  /** Every request is refused so, while it is set. */
  refusal: (() => ClusterError) | undefined;
  /** The next watches get nothing, as if their packets were lost. */
  isSilent = false;

  put(name: string, data: object = {}): KubeObject {
    const existed = this.objects.has(name);
    const object: KubeObject = {
      apiVersion: apiVersionOf(this.type),
      kind: this.type.kind,
      metadata: {
        name,
        namespace: "monitoring",
        resourceVersion: String(++this.#version),
        labels: { "tsdb.dev/database": `owner-${name}` },
        managedFields: [{ manager: "tsdb-operator", operation: "Apply", fieldsV1: { "f:data": {} } }],
      },
      data,
    };
    this.objects.set(name, object);
    this.#tell({ type: existed ? "MODIFIED" : "ADDED", object });
    return object;
  }

  delete(name: string): void {
    const object = this.objects.get(name);
    if (object === undefined) return;
    this.objects.delete(name);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.#tell({ type: "DELETED", object: { ...object, metadata } });
  }

  /** Changes something of which no watch is told: what only a list can show. */
  putUnseen(name: string): void {
    this.put(name);
    for (const stream of this.#streams) stream.next = this.#past.length;
  }

  deleteUnseen(name: string): void {
    this.delete(name);
    for (const stream of this.#streams) stream.next = this.#past.length;
  }

  bookmark(): void {
    this.#tell({ type: "BOOKMARK", resourceVersion: String(this.#version) });
  }

  /** From now on nothing older than this can be watched. */
  compact(): void {
    this.#forgottenTo = this.#version;
  }

  /** As after a restore from a backup: an older state, whose versions will be given out again. */
  goBack(to: ReadonlyMap<string, KubeObject>, version: number): void {
    this.objects.clear();
    for (const [name, object] of to) this.objects.set(name, object);
    this.#past = [];
    this.#version = version;
    this.#forgottenTo = version;
    this.endAll(lost());
  }

  get version(): number {
    return this.#version;
  }

  get openWatches(): number {
    return this.#streams.size;
  }

  endAll(failure: ClusterError | "end"): void {
    for (const stream of this.#streams) {
      stream.failure = failure;
      stream.wake();
    }
  }

  async list(_type: ResourceType, { limit = Infinity, continueToken }: ListOptions): Promise<ListPage> {
    this.lists += continueToken === undefined ? 1 : 0;
    await Promise.resolve();
    if (this.refusal !== undefined) throw this.refusal();
    const { version, from } =
      continueToken === undefined
        ? { version: this.#version, from: 0 }
        : (JSON.parse(continueToken) as { version: number; from: number });
    if (version < this.#forgottenTo) throw refused(410, "Expired");
    // A page of an older moment would need the past; the model's pages are asked for in one go, or expire.
    if (version !== this.#version) throw refused(410, "Expired");
    const all = [...this.objects.values()];
    const page = all.slice(from, from + limit);
    const next = from + page.length;
    return {
      items: structuredClone(page),
      resourceVersion: String(version),
      continueToken: next < all.length ? JSON.stringify({ version, from: next }) : undefined,
    };
  }

  async *watch(
    _type: ResourceType,
    { resourceVersion }: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent, void> {
    this.watches++;
    await Promise.resolve();
    if (this.refusal !== undefined) throw this.refusal();
    const from = Number(resourceVersion);
    if (from < this.#forgottenTo) throw refused(410, "Expired");
    let wake = (): void => {};
    const stream: Stream = {
      // From a version that is yet to come, nothing is told before it has come, and that is no error.
      next: this.#past.findIndex(({ version }) => version > from),
      wake: () => wake(),
      failure: undefined,
      isSilent: this.isSilent,
    };
    if (stream.next < 0) stream.next = this.#past.length;
    this.#streams.add(stream);
    this.watchesAtOnceMax = Math.max(this.watchesAtOnceMax, this.#streams.size);
    const abort = (): void => wake();
    signal.addEventListener("abort", abort);
    try {
      for (;;) {
        // What had not been sent is lost with the connection.
        if (signal.aborted) throw refused(0, "Canceled");
        if (stream.failure === "end") return;
        if (stream.failure !== undefined) throw stream.failure;
        while (!stream.isSilent && stream.failure === undefined && stream.next < this.#past.length) {
          const { event, version } = this.#past[stream.next++]!;
          if (version <= from) continue;
          yield structuredClone(event);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (signal.aborted || stream.failure !== undefined || (!stream.isSilent && stream.next < this.#past.length))
            resolve();
        });
      }
    } finally {
      this.#streams.delete(stream);
      signal.removeEventListener("abort", abort);
    }
  }

  #tell(event: WatchEvent): void {
    this.#past.push({ version: this.#version, event });
    for (const stream of this.#streams) stream.wake();
  }
}
