/** Runs of samples for packed chunks: every class of data that metrics are known to be, and what is hard to pack. */
import fc from "fast-check";
import { bitsOf, type Sample, specialBits, STALE_BITS } from "./columns.ts";

const COUNT_MAX = 700;

/** Adds up steps from a start, each result passed through `round`. */
const walk = (
  start: number,
  steps: readonly number[],
  round: (value: number) => number = (value) => value,
): number[] => {
  let value = start;
  return steps.map((step) => (value = round(value + step)));
};
const decimals =
  (places: number) =>
  (value: number): number =>
    Math.round(value * 10 ** places) / 10 ** places;

const many = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength: 1, maxLength: COUNT_MAX, size: "max" });
const rarely = <T>(often: fc.Arbitrary<T>, rare: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 50, arbitrary: often }, { weight: 1, arbitrary: rare });

const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true });
const start = fc.oneof(
  fc.constant(0),
  fc.integer({ min: -1e6, max: 1e9 }),
  fc.constantFrom(2 ** 52, -(2 ** 52), 8.9e15),
);

/** By name, so that a test may go through them. */
export const VALUE_CLASSES: Readonly<Record<string, fc.Arbitrary<bigint[]>>> = {
  "integer counters": fc
    .tuple(start, many(fc.integer({ min: 0, max: 2000 })))
    .map(([first, steps]) => walk(first, steps).map(bitsOf)),
  "counters with resets": fc
    .tuple(start, many(rarely(fc.integer({ min: 0, max: 90 }), fc.constant(NaN))))
    .map(([first, steps]) => {
      let value = first;
      return steps.map((step) => bitsOf((value = Number.isNaN(step) ? 0 : value + step)));
    }),
  "counters that mostly rest": fc
    .tuple(start, many(rarely(fc.constant(0), fc.integer({ min: 1, max: 1e6 }))))
    .map(([first, steps]) => walk(first, steps).map(bitsOf)),
  "gauges of two decimals": many(fc.integer({ min: -5000, max: 10_000 })).map((all) => all.map((x) => bitsOf(x / 100))),
  "CPU seconds": fc
    .tuple(fc.integer({ min: 0, max: 1e8 }), many(fc.integer({ min: 0, max: 1500 })))
    .map(([first, steps]) =>
      walk(
        first / 100,
        steps.map((step) => step / 100),
        decimals(2),
      ).map(bitsOf),
    ),
  constants: fc
    .tuple(fc.oneof(anyDouble.map(bitsOf), specialBits), fc.integer({ min: 1, max: COUNT_MAX }))
    .map(([bits, count]) => Array.from({ length: count }, () => bits)),
  lines: fc
    .tuple(start, fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: COUNT_MAX }))
    .map(([first, step, count]) => Array.from({ length: count }, (_, i) => bitsOf(first + i * step))),
  "slopes that change slowly": fc
    .tuple(start, many(fc.integer({ min: -3, max: 3 })))
    .map(([first, changes]) => walk(first, walk(1000, changes)).map(bitsOf)),
  "random doubles": many(anyDouble.map(bitsOf)),
  "sums of doubles": many(fc.double({ min: 0, max: 10, noNaN: true })).map((steps) => walk(0, steps).map(bitsOf)),
  denormals: many(fc.bigInt({ min: 0n, max: 2n ** 52n - 1n })),
  infinities: many(fc.constantFrom(bitsOf(Infinity), bitsOf(-Infinity), bitsOf(1))),
  "any bits": many(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  "gauges with specials": many(
    rarely(
      fc.integer({ min: 0, max: 500 }).map((x) => bitsOf(x / 10)),
      specialBits,
    ),
  ),
  "specials above all": many(fc.oneof(specialBits, fc.constant(STALE_BITS))),
  "zeros of both signs": many(fc.constantFrom(0n, 1n << 63n)),
  "multiples of a page": many(fc.integer({ min: 0, max: 1e6 })).map((all) => all.map((x) => bitsOf(x * 4096))),
  "powers of two": many(fc.integer({ min: -1074, max: 1023 })).map((all) => all.map((x) => bitsOf(2 ** x))),
  "decimals of a few digits, and some of many": many(
    rarely(
      fc.integer({ min: 0, max: 1e6 }).map((x) => x / 1000),
      fc.double({ min: 0, max: 1000, noNaN: true }),
    ),
  ).map((all) => all.map(bitsOf)),
  "whole numbers up to 2^53": many(fc.maxSafeInteger()).map((all) => all.map(bitsOf)),
};

const TIME_MAX = 2 ** 53;
const gaps: Readonly<Record<string, fc.Arbitrary<number>>> = {
  regular: fc.constant(15_000),
  "with jitter": fc.integer({ min: 14_990, max: 15_010 }),
  "with gaps": rarely(fc.constant(15_000), fc.constantFrom(30_000, 45_000, 3_600_000)),
  "whole seconds": fc.integer({ min: 1, max: 40 }).map((seconds) => seconds * 1000),
  "close together": fc.constantFrom(1, 1, 1, 2),
  "far apart": fc.integer({ min: 1, max: 2 ** 43 }),
};
export const TIME_CLASSES = Object.keys(gaps);

/** As many times as there are values, ascending, within +-2^53. */
export const timesFor = (count: number, timeClass: string): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.constantFrom(0, 1_767_225_600_000, -TIME_MAX, TIME_MAX),
      fc.array(gaps[timeClass]!, { minLength: count, maxLength: count }),
    )
    .map(([from, steps]) => {
      const times = walk(0, steps);
      const first = Math.min(from, TIME_MAX - times.at(-1));
      return times.map((time) => first + time - times[0]!);
    });

export const samplesOf = (valueClass: string, timeClass: string): fc.Arbitrary<Sample[]> =>
  VALUE_CLASSES[valueClass]!.chain((values) =>
    timesFor(values.length, timeClass).map((times) => times.map((timeMs, i) => ({ timeMs, value: values[i]! }))),
  );

export const anySamples: fc.Arbitrary<Sample[]> = fc
  .tuple(fc.constantFrom(...Object.keys(VALUE_CLASSES)), fc.constantFrom(...TIME_CLASSES))
  .chain(([valueClass, timeClass]) => samplesOf(valueClass, timeClass));
