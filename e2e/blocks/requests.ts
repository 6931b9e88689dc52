/** A day of samples as remote write requests, in the order of their times: some minutes of all series each. */
import { encodeWrite } from "../support/remote-write.ts";
import type { DaySeries } from "./population.ts";

const PIECE_MS = 600_000;

export function dayRequests(series: readonly DaySeries[], startMs: number, endMs: number): Uint8Array<ArrayBuffer>[] {
  const next = series.map(() => 0);
  const requests: Uint8Array<ArrayBuffer>[] = [];
  for (let untilMs = startMs + PIECE_MS; untilMs <= endMs; untilMs += PIECE_MS) {
    const request = series.flatMap(({ labels, times, values }, i) => {
      const from = next[i]!;
      while (next[i]! < times.length && times[next[i]!]! < untilMs) next[i]!++;
      const words = new BigUint64Array(values.buffer, values.byteOffset, values.length);
      const samples = Array.from(times.subarray(from, next[i]), (timestamp, k) => ({
        timestamp,
        value: words[from + k] === 0x7ff0_0000_0000_0002n ? ("stale" as const) : values[from + k]!,
      }));
      return samples.length > 0 ? [{ labels: Object.fromEntries(labels), samples }] : [];
    });
    requests.push(encodeWrite(request));
  }
  return requests;
}
