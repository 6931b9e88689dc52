/**
 * A day of samples of more than a thousand series, with what blocks must not lose: counters that are reset, gaps, stale
 * markers, series that begin late and end early, values that are no ordinary numbers, names and values that are not ASCII
 * and sort differently as UTF-16 and as UTF-8.
 */
import { compareBytes, type LabelSet } from "../../src/tsdb/model/labels.ts";
import { Random } from "../../test/support/random.ts";

export interface DaySeries {
  readonly labels: LabelSet;
  /** ms, ascending. */
  readonly times: Float64Array;
  /** A stale marker differs from other NaNs in its bits only, which typed arrays keep when they are copied as a whole. */
  readonly values: Float64Array;
}

export const RANGE_MS = 2 * 3_600_000;
const DAY_MS = 24 * 3_600_000;
const STEP_MS = 60_000;
const STALE_BITS = 0x7ff0_0000_0000_0002n;

/** The day that ends with the last full range before `nowMs`. */
export const dayBefore = (nowMs: number): { readonly startMs: number; readonly endMs: number } => {
  const endMs = Math.floor(nowMs / RANGE_MS) * RANGE_MS;
  return { startMs: endMs - DAY_MS, endMs };
};

interface Kind {
  readonly name: string;
  readonly seriesCount: number;
  /** The value of a series at its `k`-th minute; undefined: none. */
  readonly value: (k: number, random: Random, before: number) => number | "stale" | undefined;
}

const zones = ["a", "Ω", "\uffee", "😀", "\ue000", 'quoted "and" \\ broken\n'];

const kinds: readonly Kind[] = [
  {
    name: "day_requests_total",
    seriesCount: 400,
    value: (_k, random, before) => (random.chance(0.002) ? 0 : (before || 0) + random.below(50)),
  },
  {
    name: "day.temperature_celsius",
    seriesCount: 200,
    value: (k, random) => Math.round(100 * (20 + 5 * Math.sin(k / 100) + random.next())) / 100,
  },
  { name: "day_limit", seriesCount: 150, value: () => 4096 },
  {
    name: "day_gaps",
    seriesCount: 100,
    value: (k, random) => (Math.floor(k / 37) % 3 === 1 ? undefined : random.next() * 1e9),
  },
  {
    name: "day_flapping",
    seriesCount: 100,
    value: (k, random) => (k % 50 === 40 ? "stale" : k % 50 > 40 ? undefined : random.below(1000) / 7),
  },
  {
    name: "größe_😀",
    seriesCount: 50,
    value: (_k, random) =>
      random.pick([NaN, Infinity, -Infinity, -0, 0, Number.MIN_VALUE, -Number.MAX_VALUE, 1 / 3, 2 ** 53 + 2]),
  },
  { name: "day_late", seriesCount: 30, value: (k) => (k < 1000 ? undefined : k) },
  { name: "day_early", seriesCount: 30, value: (k) => (k > 333 ? undefined : -k) },
];

export function dayOfSamples(startMs: number, endMs: number, seed: number): DaySeries[] {
  const random = new Random(seed);
  return kinds.flatMap(({ name, seriesCount, value }) =>
    Array.from({ length: seriesCount }, (_, i): DaySeries => {
      const times: number[] = [];
      const bits: bigint[] = [];
      const word = new Float64Array(1);
      const offset = random.below(STEP_MS - 1000);
      const jitter = i % 3 === 0 ? 1000 : 1;
      let before = NaN;
      for (let k = 0; startMs + k * STEP_MS < endMs; k++) {
        const found = value(k, random, before);
        if (found === undefined) continue;
        times.push(startMs + k * STEP_MS + offset + random.below(jitter));
        if (found !== "stale") word[0] = before = found;
        bits.push(found === "stale" ? STALE_BITS : new BigUint64Array(word.buffer)[0]!);
      }
      const labels = [
        ["__name__", name],
        ["instance", `host-${i}:9100`],
        ["zone.größe", zones[i % zones.length]!],
        ...(i % 2 === 0 ? [["\ue000", "x"] as const, ["😀", "\uffee"] as const] : []),
      ] as const;
      return {
        labels: [...labels].sort(([a], [b]) => compareBytes(a, b)),
        times: Float64Array.from(times),
        values: new Float64Array(BigUint64Array.from(bits).buffer),
      };
    }),
  );
}

export const sampleCountOf = (series: readonly DaySeries[]): number =>
  series.reduce((count, { times }) => count + times.length, 0);

/** By labels, for comparing: times, and values as bits, or with all NaNs made one. */
export function samplesByLabels(
  series: readonly DaySeries[],
  { exactNaNs }: { readonly exactNaNs: boolean },
): Map<string, string> {
  const found = new Map<string, string>();
  for (const { labels, times, values } of series) {
    const words = new BigUint64Array(exactNaNs ? values.slice().buffer : values.map((value) => value).buffer);
    // A NaN that was computed with may have any payload.
    const text = [...times].map(
      (time, i) => `${time}:${!exactNaNs && Number.isNaN(values[i]) ? "NaN" : words[i]!.toString(16)}`,
    );
    found.set(JSON.stringify(labels), text.join(" "));
  }
  return found;
}
