/** Asks a server for queries and takes the time; an answer is read whole, and parsed only when somebody looks at it. */
import { Agent, request } from "node:http";
import { errnoOf } from "../../src/base/errors.ts";

export interface TimedAnswer {
  readonly status: number;
  readonly body: Buffer;
  /** From the first byte sent to the last one received. */
  readonly ms: number;
}

/** One connection for all that is asked, as a dashboard keeps it. */
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

export interface Query {
  readonly query: string;
  /** Of an instant query: when. Of a range query: its end. */
  readonly timeMs: number;
  readonly range?: { readonly lengthMs: number; readonly stepMs: number };
}

export function timedQuery(baseUrl: string, { query, timeMs, range }: Query): Promise<TimedAnswer> {
  const seconds = (ms: number): string => String(ms / 1000);
  // What VictoriaMetrics calls its own cache of results would answer all but the first.
  const parameters = new URLSearchParams({ query, nocache: "1" });
  if (range === undefined) parameters.set("time", seconds(timeMs));
  else {
    parameters.set("start", seconds(timeMs - range.lengthMs));
    parameters.set("end", seconds(timeMs));
    parameters.set("step", seconds(range.stepMs));
  }
  return get(`${baseUrl}/api/v1/${range === undefined ? "query" : "query_range"}?${parameters.toString()}`);
}

function get(url: string): Promise<TimedAnswer> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const asked = request(url, { agent }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      response.on("error", reject);
      response.on("end", () => {
        const ms = performance.now() - startMs;
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces), ms });
      });
    });
    asked.on("error", (error) => {
      // A server that was stopped for a while may have let go of the connection.
      if (asked.reusedSocket && errnoOf(error) === "ECONNRESET") resolve(get(url));
      else reject(error);
    });
    asked.end();
  });
}

/** Series by their labels, each with its times and values. */
export type Answer = ReadonlyMap<string, readonly Point[]>;
export type Point = readonly [seconds: number, value: number];

interface ResultSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** @throws Error with what the server said when that is no result */
export function parseAnswer({ status, body }: TimedAnswer): Answer {
  if (status !== 200) throw new Error(`status ${status}: ${body.toString("utf8", 0, 600)}`);
  const { data } = JSON.parse(body.toString("utf8")) as { readonly data: { readonly result: readonly ResultSeries[] } };
  return new Map(
    data.result.map(({ metric, value, values = value === undefined ? [] : [value] }) => [
      JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1))),
      values.map(([seconds, text]): Point => [seconds, Number(text.replace("Inf", "Infinity"))]),
    ]),
  );
}

/** The one number that an instant query gives; 0 when it gives nothing. */
export async function queryNumber(baseUrl: string, query: string, timeMs: number): Promise<number> {
  const [points] = parseAnswer(await timedQuery(baseUrl, { query, timeMs })).values();
  return points?.[0]?.[1] ?? 0;
}

/** The first difference between two answers that is larger than `tolerance`, relatively, in words. */
export function firstDifference(a: Answer, b: Answer, tolerance: number): string | undefined {
  if (a.size !== b.size) return `${a.size} series and ${b.size}`;
  for (const [series, points] of a) {
    const others = b.get(series);
    if (others?.length !== points.length) return `${series}: ${points.length} points and ${others?.length ?? 0}`;
    for (const [i, [seconds, value]] of points.entries()) {
      const [otherSeconds, other] = others[i]!;
      const isNear =
        Object.is(value, other) || Math.abs(value - other) <= tolerance * Math.max(Math.abs(value), Math.abs(other));
      if (seconds !== otherSeconds || !isNear)
        return `${series}: ${value} at ${seconds} and ${other} at ${otherSeconds}`;
    }
  }
  return undefined;
}
