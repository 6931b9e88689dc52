import fc from "fast-check";
import { expect, test } from "vitest";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { putColumns, type Sample, specialBits, takeColumns } from "../../support/columns.ts";

const COUNT_MAX = 512;
const codec = new CodecKernel({
  times: COUNT_MAX * 8,
  values: COUNT_MAX * 8,
  otherTimes: COUNT_MAX * 8,
  otherValues: COUNT_MAX * 8,
  outTimes: COUNT_MAX * 16,
  outValues: COUNT_MAX * 16,
  scratch: COUNT_MAX * 16,
  chunk: COUNT_MAX * 16 + 8,
});
const { kernel } = codec;
const COLUMNS = ["times", "values"] as const;

/** Few different times, so that many are equal. */
const rows = fc.array(
  fc.record({
    timeMs: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constantFrom(-(2 ** 53), 2 ** 53)),
    value: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), specialBits),
  }),
  { maxLength: 200 },
);
const sorted = (given: readonly Sample[]): Sample[] =>
  given
    .toSorted((a, b) => a.timeMs - b.timeMs)
    .filter(({ timeMs }, i, all) => i === 0 || all[i - 1]!.timeMs !== timeMs);
const series = rows.map(sorted);
const range = fc.tuple(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -60, max: 60 }));

test("rows are put in time order, and of equal times the first one counts", () => {
  fc.assert(
    fc.property(rows, (given) => {
      const count = kernel.sortSamples(...putColumns(codec, COLUMNS, given), codec.at("scratch"));
      codec.checkGuards();
      expect(takeColumns(codec, COLUMNS, count)).toEqual(sorted(given));
    }),
  );
});

test("of two series merged each time comes once, as the first has it", () => {
  fc.assert(
    fc.property(series, series, (a, b) => {
      const count = kernel.mergeSamples(
        ...putColumns(codec, COLUMNS, a),
        ...putColumns(codec, ["otherTimes", "otherValues"], b),
        codec.at("outTimes"),
        codec.at("outValues"),
      );
      codec.checkGuards();
      expect(takeColumns(codec, ["outTimes", "outValues"], count)).toEqual(sorted([...a, ...b]));
    }),
  );
});

test("clipping keeps the samples inside a range, both ends included, and masking those outside", () => {
  fc.assert(
    fc.property(series, range, (given, [mint, maxt]) => {
      const isInside = ({ timeMs }: Sample) => mint <= timeMs && timeMs <= maxt;
      const clipped = kernel.clipSamples(...putColumns(codec, COLUMNS, given), mint, maxt);
      codec.checkGuards();
      expect(takeColumns(codec, COLUMNS, clipped)).toEqual(given.filter(isInside));
      const masked = kernel.maskSamples(...putColumns(codec, COLUMNS, given), mint, maxt);
      codec.checkGuards();
      expect(takeColumns(codec, COLUMNS, masked)).toEqual(given.filter((sample) => !isInside(sample)));
    }),
  );
});

const hashOf = (given: readonly Sample[], seed: bigint): bigint =>
  BigInt.asUintN(64, kernel.hashSamples(...putColumns(codec, COLUMNS, given), seed));

test("the hash of samples is the sum of its parts' hashes, wherever they are cut", () => {
  fc.assert(
    fc.property(series, fc.nat(200), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (given, cut, seed) => {
      const parts = hashOf(given.slice(0, cut), seed) + hashOf(given.slice(cut), seed);
      expect(hashOf(given, seed)).toBe(BigInt.asUintN(64, parts));
    }),
  );
});

test("the hash of samples changes with every bit of a value, a time and the seed, and when two values change places", () => {
  const given = [
    { timeMs: 1000, value: 5n },
    { timeMs: 2000, value: 6n },
  ];
  const changed = [given, given.map(({ timeMs }, i) => ({ timeMs, value: given[1 - i]!.value })), given.slice(0, 1)];
  for (let bit = 0n; bit < 64n; bit++) changed.push([{ timeMs: 1000, value: 5n ^ (1n << bit) }, given[1]!]);
  for (let bit = 0; bit < 32; bit++) changed.push([{ timeMs: 1000 + 2 ** bit, value: 5n }, given[1]!]);
  const hashes = new Set(changed.map((samples) => hashOf(samples, 1n)));
  expect(hashes.size).toBe(changed.length);
  for (let bit = 0n; bit < 64n; bit++) hashes.add(hashOf(given, 1n ^ (1n << bit)));
  expect(hashes.size).toBe(changed.length + 64);
});

test("a raw chunk gives back the samples it was given, and is malformed when it is not as long as it says", () => {
  fc.assert(
    fc.property(series, fc.nat(40), (given, missing) => {
      const chunkBytes = kernel.rawEncode(...putColumns(codec, COLUMNS, given), codec.at("chunk"));
      codec.checkGuards();
      expect(chunkBytes).toBe(8 + 16 * given.length);
      const decode = (bytes: number, countMax: number) =>
        kernel.rawDecode(codec.at("chunk"), bytes, codec.at("outTimes"), codec.at("outValues"), countMax);
      expect(decode(chunkBytes, given.length)).toBe(given.length);
      expect(takeColumns(codec, ["outTimes", "outValues"], given.length)).toEqual(given);
      if (missing > 0) expect(decode(Math.max(0, chunkBytes - missing), given.length)).toBe(-1);
      expect(decode(chunkBytes, given.length - 1)).toBe(given.length === 0 ? 0 : -1);
      codec.checkGuards();
    }),
  );
});
