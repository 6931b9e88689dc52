/** Several sources read as one, against a model that puts all samples of a series into a Map. */
import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import { MergedStorage } from "../../../src/tsdb/query/merged-storage.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { FakeSource } from "../../support/fake-source.ts";
import type { SourceChunk, SourceSeries } from "../../support/fake-source.ts";
import { labelSet } from "../../support/fake-storage.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { keyOf, readStorage } from "../../support/read-storage.ts";

const TRIALS = 400;
const TIMES = 120;

const LABEL_SETS: readonly LabelSet[] = [
  { __name__: "a" },
  { __name__: "a", job: "x" },
  { __name__: "a", job: "y", ["__proto__"]: "z" },
  { __name__: "b", 7: "seven", "\u{1f600}": "astral", "\uff5e": "above it in UTF-16" },
  { job: "x" },
].map(labelSet);

/** Values that say where they came from; every few a NaN with a payload. */
function valueBits(random: Random): bigint {
  return random.chance(0.1) ? 0x7ff0_0000_0000_0000n | BigInt(1 + random.below(1000)) : BigInt(random.below(2 ** 31));
}

function randomTimes(random: Random): number[] {
  const from = random.below(TIMES);
  const to = random.between(from, Math.min(TIMES - 1, from + random.pick([0, 5, 20, TIMES])));
  const density = random.pick([1, 0.5, 0.1]);
  const times: number[] = [];
  for (let time = from; time <= to; time++) if (time === from || random.chance(density)) times.push(time);
  return times;
}

const randomChunk = (random: Random, times: readonly number[], isRaw: boolean): SourceChunk => ({
  isRaw,
  times,
  values: new Float64Array(BigUint64Array.from(times, () => valueBits(random)).buffer),
});

/** Encoded chunks one after the other (rarely overlapping, as in blocks that others wrote), then perhaps late samples. */
function randomSeries(random: Random, labels: LabelSet): SourceSeries {
  const chunks: SourceChunk[] = [];
  const times = randomTimes(random);
  for (let at = 0; at < times.length;) {
    const length = random.between(1, 30);
    chunks.push(randomChunk(random, times.slice(at, at + length), false));
    at += length;
  }
  if (random.chance(0.1)) chunks.push(randomChunk(random, randomTimes(random), false));
  if (random.chance(0.3)) chunks.push(randomChunk(random, randomTimes(random), true));
  const deletions = Array.from({ length: random.chance(0.3) ? random.between(1, 3) : 0 }, () => {
    const mint = random.pick([Number.NEGATIVE_INFINITY, random.below(TIMES)]);
    return [mint, random.between(Math.max(0, mint), TIMES)] as const;
  });
  return { labels, chunks, deletions };
}

/** What a reader must see: of each series its samples, of equal times that of the first source, and there the encoded one. */
function model(sources: readonly (readonly SourceSeries[])[]): Map<string, Map<number, bigint>> {
  const all = new Map<string, Map<number, bigint>>();
  for (const { labels, chunks, deletions = [] } of sources.flat()) {
    const samples = all.get(keyOf(labels)) ?? new Map<number, bigint>();
    all.set(keyOf(labels), samples);
    const byTime = [...chunks].sort((a, b) => a.times[0]! - b.times[0]!);
    for (const isRaw of [false, true])
      for (const chunk of byTime.filter((candidate) => candidate.isRaw === isRaw)) {
        const bits = new BigUint64Array(chunk.values.buffer);
        chunk.times.forEach((time, i) => {
          const isDeleted = !isRaw && deletions.some(([mint, maxt]) => time >= mint && time <= maxt);
          if (!isDeleted && !samples.has(time)) samples.set(time, bits[i]!);
        });
      }
  }
  return all;
}

test("series of several sources are one: the first source's samples count, and what is deleted is not seen", () => {
  const seed = seedFromEnv();
  for (let trial = 0; trial < TRIALS; trial++) {
    const random = new Random(seed + trial);
    const sources = Array.from({ length: random.between(1, 4) }, () =>
      LABEL_SETS.filter(() => random.chance(0.7)).map((labels) => randomSeries(random, labels)),
    );
    const storage = new MergedStorage(sources.map((series) => new FakeSource(series, random.pick([1, 2, 100]))));
    const [mint, maxt] = random.chance(0.5) ? [0, TIMES] : [random.below(60), random.between(60, TIMES)];
    const { series, warnings } = readStorage(storage, { mint, maxt });
    expect(warnings).toEqual([]);
    const within = (samples: Iterable<readonly [number, bigint]>) =>
      [...samples].filter(([time]) => time >= mint && time <= maxt).sort(([a], [b]) => a - b);
    for (const [key, samples] of model(sources)) {
      const { times = [], bits = [] } = series.get(key) ?? {};
      const read = within(times.map((time, i) => [time, bits[i]!] as const));
      expect(read, `${key} from ${mint} to ${maxt}; SEED=${seed + trial}`).toEqual(within(samples));
    }
  }
});

test("names and values are those of all sources, in byte order and once", () => {
  const chunk = { times: [1], values: Float64Array.of(1) };
  const series = LABEL_SETS.map((labels) => ({ labels, chunks: [chunk] }));
  const storage = new MergedStorage([new FakeSource(series.slice(0, 3)), new FakeSource(series.slice(2))]);
  const querier = storage.querier({ labels: new LabelTable(), budget: new QueryBudget(DEFAULT_LIMITS, systemClock) });
  expect(querier.labelNames([], 0, 10)).toEqual(["7", "__name__", "__proto__", "job", "\uff5e", "\u{1f600}"]);
  expect(querier.labelValues("job", [], 0, 10)).toEqual(["x", "y"]);
  expect(querier.labelValues("job", [{ type: "=", name: "__name__", value: "b" }], 0, 10)).toEqual([]);
  expect(querier.labelNames([], 2, 10)).toEqual([]);
});

test("a series counts once against the budget, however many sources have it", () => {
  const chunk = { times: [1], values: Float64Array.of(1) };
  const series = LABEL_SETS.map((labels) => ({ labels, chunks: [chunk] }));
  const storage = new MergedStorage([new FakeSource(series), new FakeSource(series), new FakeSource(series.slice(1))]);
  const select = (seriesMax: number) => {
    const budget = new QueryBudget({ ...DEFAULT_LIMITS, seriesMax }, systemClock);
    return storage.querier({ labels: new LabelTable(), budget }).select([], 0, 10).seriesCount;
  };
  expect(select(LABEL_SETS.length)).toBe(LABEL_SETS.length);
  expect(() => select(LABEL_SETS.length - 1)).toThrow("too many series");
});

test("a query whose range touches a block that was set aside says which one, what is missing and why", () => {
  const source = new FakeSource([{ labels: LABEL_SETS[0]!, chunks: [{ times: [5], values: Float64Array.of(1) }] }]);
  const missing = { ulid: "01HF", minTime: 0, maxTime: 7_200_000, reason: "its index is damaged" };
  const storage = new MergedStorage([source], [missing]);
  expect(readStorage(storage, { mint: 7_200_000, maxt: 8_000_000 }).warnings).toEqual([]);
  expect(readStorage(storage, { mint: 7_199_999, maxt: 8_000_000 }).warnings).toEqual([
    "Samples from 1970-01-01T00:00:00.000Z to 1970-01-01T01:59:59.999Z are missing from the result: " +
      "block 01HF was set aside: its index is damaged",
  ]);
});
