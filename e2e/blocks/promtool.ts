/** promtool on block directories, and what it prints. */
import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import type { LabelPair } from "../../src/tsdb/model/labels.ts";
import { peerProgram } from "../support/peers.ts";
import type { DaySeries } from "./population.ts";

/** Runs it with its output in a file, which may be long. @throws Error when it fails */
export function promtool(args: readonly string[], outFile: string): void {
  const out = openSync(outFile, "w");
  const { status, stderr } = spawnSync(peerProgram("promtool"), args, {
    stdio: ["ignore", out, "pipe"],
    encoding: "utf8",
  });
  closeSync(out);
  if (status !== 0) throw new Error(`promtool ${args.join(" ")} exited with ${status}: ${stderr}`);
}

/** What `promtool tsdb dump` printed: a line `{name="value", ...} value time` for each sample, series by series. */
export async function parseDump(file: string): Promise<DaySeries[]> {
  const found = new Map<string, { times: number[]; values: number[] }>();
  for await (const line of createInterface(createReadStream(file))) {
    const end = line.lastIndexOf("} ");
    const [value, time] = line.slice(end + 2).split(" ");
    const key = line.slice(0, end + 1);
    let series = found.get(key);
    if (series === undefined) found.set(key, (series = { times: [], values: [] }));
    series.times.push(Number(time));
    series.values.push(Number(value!.replace("Inf", "Infinity")));
  }
  return [...found].map(([key, { times, values }]) => ({
    labels: parseLabels(key),
    times: Float64Array.from(times),
    values: Float64Array.from(values),
  }));
}

/** Of `{a="1", "b.c"="2"}`, with Go's quoting. */
function parseLabels(text: string): LabelPair[] {
  const parts = text.slice(1, -1).matchAll(/("(?:[^"\\]|\\.)*"|[a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/gs);
  return [...parts].map(([, name, value]) => [
    name!.startsWith('"') ? unquote(name!.slice(1, -1)) : name!,
    unquote(value!),
  ]);
}

const NAMED: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  '"': '"',
  "\\": "\\",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
};

const unquote = (text: string): string =>
  text.replace(/\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|x[0-9a-f]{2}|.)/gs, (escape) =>
    escape.length > 2 ? String.fromCodePoint(Number.parseInt(escape.slice(2), 16)) : NAMED[escape[1]!]!,
  );

/** OpenMetrics text of samples, for `promtool tsdb create-blocks-from openmetrics`. Stale markers have no place in it. */
export function* openMetrics(series: readonly DaySeries[]): Generator<string> {
  for (const { labels, times, values } of series) {
    const name = labels.find(([label]) => label === "__name__")![1];
    const rest = labels
      .filter(([label]) => label !== "__name__")
      .map(([label, value]) => `${quoted(label)}=${quoted(value)}`);
    const head = `{${[quoted(name), ...rest].join(",")}}`;
    for (const [i, time] of times.entries()) {
      const value = values[i]!;
      yield `${head} ${Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "Inf")} ${(time / 1000).toFixed(3)}\n`;
    }
  }
  yield "# EOF\n";
}

const quoted = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
