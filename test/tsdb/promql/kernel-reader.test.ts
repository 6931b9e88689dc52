import fc from "fast-check";
import { expect, test } from "vitest";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { WINDOW_FUNCTIONS } from "../../../src/tsdb/promql/functions/windows.ts";
import { KernelReader } from "../../../src/tsdb/promql/kernel-reader.ts";
import type { Cells, SampleReader } from "../../../src/tsdb/promql/operators/sample-reader.ts";
import type { StepGrid } from "../../../src/tsdb/promql/plan/node.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import { WINDOW_KERNELS } from "../../../src/tsdb/promql/window-kernels.ts";
import { CHUNK_PACKED, CHUNK_RAW, CHUNK_XOR } from "../../../src/tsdb/storage.ts";
import { STALE, encodeXor } from "../../support/fake-storage.ts";
import { OracleReader } from "../../support/sample-oracle.ts";

const memory = new PrivateMemory(loadKernelModule());
const kernelReader = (limits = DEFAULT_LIMITS) => new KernelReader(memory, new QueryBudget(limits, systemClock));

interface Series {
  readonly times: readonly number[];
  readonly values: Float64Array;
}

/** Puts series into a reader's batch, in chunks of at most `chunkSamples`. */
function fill(reader: SampleReader, series: readonly Series[], chunkSamples: number): void {
  const { batch } = reader;
  reader.clearBatch();
  batch.chunkStart.length = batch.chunkAddress.length = batch.chunkBytes.length = batch.encoding.length = 0;
  batch.chunkStart.push(0);
  for (const { times, values } of series) {
    for (let start = 0; start < times.length; start += chunkSamples) {
      const end = start + chunkSamples;
      putChunk(reader, encodeXor(times.slice(start, end), values.subarray(start, end)));
    }
    batch.chunkStart.push(batch.chunkAddress.length);
    batch.seriesCount++;
  }
}

function putChunk({ batch }: SampleReader, chunk: Uint8Array, encoding = CHUNK_XOR): void {
  const address = batch.reserve(chunk.length)!;
  batch.store(address, chunk);
  batch.chunkAddress.push(address);
  batch.chunkBytes.push(chunk.length);
  batch.encoding.push(encoding);
}

// What series are made of: counters with resets, gauges, and every value that is special somewhere.
const special = fc.constantFrom(0, -0, 1, -1, NaN, Infinity, -Infinity, 1e308, -1.7e308, 5e-324, 2 ** 53, 0.1);
const anyValue = fc.oneof(
  { weight: 4, arbitrary: fc.double({ noNaN: true, min: -1e6, max: 1e6 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 2, arbitrary: special },
  { weight: 1, arbitrary: fc.constant("stale" as const) },
);
const counterSteps = fc.oneof(
  { weight: 8, arbitrary: fc.double({ noNaN: true, min: 0, max: 100 }) },
  { weight: 1, arbitrary: fc.constant("reset" as const) },
  { weight: 1, arbitrary: fc.constant("stale" as const) },
);
const gaps = fc.oneof(
  { weight: 6, arbitrary: fc.constant(15_000) },
  { weight: 2, arbitrary: fc.constantFrom(1, 14_999, 15_001, 60_000) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 2_000_000 }) },
);

function column(values: readonly (number | "stale")[]): Float64Array {
  const written = new Float64Array(values.length);
  values.forEach((value, i) => written.set(value === "stale" ? STALE : [value], i));
  return written;
}

function counted(steps: readonly (number | "stale" | "reset")[]): (number | "stale")[] {
  let total = 0;
  return steps.map((step) => (step === "stale" ? step : (total = step === "reset" ? 0 : total + step)));
}

type DrawnSample = readonly [gapMs: number, value: number | "stale"];

const gauges: fc.Arbitrary<DrawnSample[]> = fc.array(fc.tuple(gaps, anyValue), { maxLength: 80 });
const counters: fc.Arbitrary<DrawnSample[]> = fc
  .array(fc.tuple(gaps, counterSteps), { maxLength: 80 })
  .map((drawn) => counted(drawn.map(([, step]) => step)).map((value, i) => [drawn[i]![0], value]));

/** Sums that overflow, and zeros of both signs: rare among other values, so series of nothing else. */
const samplesOf = (...values: readonly number[]): fc.Arbitrary<DrawnSample[]> =>
  fc.array(fc.tuple(gaps, fc.constantFrom(...values)), { maxLength: 40 });

/** Scraped without a miss for a while, then with another gap: windows lie alike for long. */
const regular: fc.Arbitrary<DrawnSample[]> = fc
  .array(
    fc.record({
      gap: gaps,
      interval: fc.constantFrom(15_000, 15_000, 30_000, 1),
      steps: fc.array(counterSteps, { minLength: 1, maxLength: 120 }),
    }),
    { maxLength: 4 },
  )
  .map((stretches) => {
    const values = counted(stretches.flatMap(({ steps }) => steps));
    const gapsBefore = stretches.flatMap(({ gap, interval, steps }) => steps.map((_, i) => (i === 0 ? gap : interval)));
    return values.map((value, i) => [gapsBefore[i]!, value]);
  });

const series: fc.Arbitrary<Series> = fc
  .record({
    startMs: fc.oneof(fc.constantFrom(0, -600_000, 1_700_000_000_000), fc.integer({ min: -1e14, max: 1e14 })),
    samples: fc.oneof(gauges, counters, regular, samplesOf(1e308, 1.7e308, -1.7e308, 3), samplesOf(0, -0)),
  })
  .map(({ startMs, samples }) => {
    let time = startMs;
    return { times: samples.map(([gap]) => (time += gap)), values: column(samples.map(([, value]) => value)) };
  });

/** A grid near a series' samples, often with steps and windows that fall on them exactly. */
const reading = fc.record({
  backMs: fc.constantFrom(0, 0, 15_000, 60_000, 1, -300_000, 1e9, -1e9),
  stepMs: fc.constantFrom(0, 1, 15_000, 15_001, 60_000, 300_000, 3_600_000),
  count: fc.integer({ min: 1, max: 200 }),
  windowMs: fc.constantFrom(1, 15_000, 14_999, 30_000, 60_000, 300_000, 301_234, 3_600_000, 1e10),
});

const cases = fc.record({
  series: fc.array(series, { minLength: 1, maxLength: 3 }),
  reading,
  chunkSamples: fc.integer({ min: 1, max: 120 }),
});

const gridOf = (
  { times }: Series,
  { backMs, stepMs, count }: { backMs: number; stepMs: number; count: number },
): StepGrid => ({
  startMs: (times[0] ?? 0) - backMs,
  stepMs,
  count,
});

/** Both readers' rows for every series, compared cell by cell. */
function expectEqualRows(
  { series: given, chunkSamples }: { readonly series: readonly Series[]; readonly chunkSamples: number },
  grid: StepGrid,
  compute: (reader: SampleReader, row: Cells) => unknown,
): void {
  const [kernel, oracle] = [kernelReader(), new OracleReader()].map((reader: SampleReader) => {
    fill(reader, given, chunkSamples);
    return given.map((_, i) => {
      const row = reader.allocate(grid.count);
      reader.decode(i);
      return { row, returned: compute(reader, row) };
    });
  });
  kernel!.forEach(({ row, returned }, i) => {
    expectSameCells(row, oracle![i]!.row);
    expect(returned).toEqual(oracle![i]!.returned);
  });
}

/** Equal bit for bit, except that NaNs which were computed are all alike. */
function expectSameCells(actual: Float64Array, expected: Float64Array): void {
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [bitsOf(actual, i), bitsOf(expected, i)];
    const isNaNInBoth = Number.isNaN(actual[i]) && Number.isNaN(expected[i]);
    if (a === b || (isNaNInBoth && a !== STALE_BITS && b !== STALE_BITS)) continue;
    expect.fail(`step ${i}: ${actual[i]} (${a.toString(16)}) should be ${expected[i]} (${b.toString(16)})`);
  }
}

const bitsOf = (values: Float64Array, i: number): bigint =>
  new BigUint64Array(values.buffer, values.byteOffset, values.length)[i]!;
const STALE_BITS = bitsOf(STALE, 0);

test("every window function is in the kernel", () => {
  expect([...WINDOW_KERNELS.keys()].sort()).toEqual([...WINDOW_FUNCTIONS.keys()].sort());
});

for (const name of WINDOW_FUNCTIONS.keys())
  test(`${name} in the kernel equals the specification to the last bit`, () => {
    fc.assert(
      fc.property(cases, fc.constantFrom(0, 0.5, 0.9, 1, 0.123, -1, 2, NaN), (given, quantile) => {
        const grid = gridOf(given.series[0]!, given.reading);
        const parameter = new Float64Array(grid.count).fill(quantile);
        expectEqualRows(given, grid, (reader, row) =>
          reader.window({ function: name, rangeMs: given.reading.windowMs, parameter }, grid, row, 0),
        );
      }),
      { numRuns: 300 },
    );
  });

test("looking back finds the newest sample, unless it is stale or too old", () => {
  fc.assert(
    fc.property(cases, fc.constantFrom("value" as const, "timestamp" as const), (given, yields) => {
      const grid = gridOf(given.series[0]!, given.reading);
      expectEqualRows(given, grid, (reader, row) => reader.lookback(grid, given.reading.windowMs, yields, row, 0));
    }),
    { numRuns: 300 },
  );
});

test("rows are added up as the specification says, absent cells and all", () => {
  const cell = fc.oneof(anyValue, fc.constant("stale" as const));
  const rowsOfGroups = fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.array(fc.nat(2), { maxLength: 12 }))
    .chain(([stepCount, groupOf]) =>
      fc.record({
        stepCount: fc.constant(stepCount),
        groupOf: fc.constant(groupOf),
        cells: fc.array(cell, { minLength: stepCount * groupOf.length, maxLength: stepCount * groupOf.length }),
      }),
    );
  fc.assert(
    fc.property(rowsOfGroups, ({ stepCount, groupOf, cells }) => {
      const [kernel, oracle] = [kernelReader(), new OracleReader()].map((reader: SampleReader) => {
        const [rows, sums, lost] = [cells.length, 3 * stepCount, 3 * stepCount].map((count) => reader.allocate(count));
        rows!.set(column(cells));
        for (let i = 0; i < sums!.length; i++) sums!.set(STALE, i);
        lost!.fill(0);
        reader.addRows(rows!, Uint32Array.from(groupOf), stepCount, sums!, lost!);
        return { sums: sums!, lost: lost! };
      });
      expectSameCells(kernel!.sums, oracle!.sums);
      expectSameCells(kernel!.lost, oracle!.lost);
    }),
    { numRuns: 300 },
  );
});

test("the samples of a window come out as they went in, stale markers left out", () => {
  fc.assert(
    fc.property(cases, (given) => {
      const endMs = gridOf(given.series[0]!, given.reading).startMs;
      const [kernel, oracle] = [kernelReader(), new OracleReader()].map((reader: SampleReader) => {
        fill(reader, given.series, given.chunkSamples);
        return given.series.map((_, i) => {
          reader.decode(i);
          return reader.samples(endMs, given.reading.windowMs);
        });
      });
      kernel!.forEach(({ times, values }, i) => {
        expect([...times]).toEqual([...oracle![i]!.times]);
        expectSameCells(values, oracle![i]!.values);
      });
    }),
    { numRuns: 150 },
  );
});

test("a NaN keeps its payload wherever a value is only passed on", () => {
  const payload = new Float64Array(new BigUint64Array([0x7ff8_0000_0bad_cafen]).buffer);
  const grid = { startMs: 10, stepMs: 1, count: 1 };
  const reader = kernelReader();
  for (const compute of [
    (row: Cells) => reader.lookback(grid, 100, "value", row, 0),
    ...["first", "last", "min", "max"].map(
      (name) => (row: Cells) =>
        reader.window({ function: `${name}_over_time`, rangeMs: 100, parameter: undefined }, grid, row, 0),
    ),
    (row: Cells) => row.set(reader.samples(10, 100).values),
  ]) {
    fill(reader, [{ times: [5], values: payload }], 1);
    reader.decode(0);
    const row = reader.allocate(1);
    compute(row);
    expect(bitsOf(row, 0).toString(16)).toBe("7ff800000badcafe");
  }
});

test("a series may be larger than a batch, and than the memory so far", () => {
  const sampleCount = 120_000;
  const times = Array.from({ length: sampleCount }, (_, i) => i * 7 + (i % 5));
  const values = Float64Array.from({ length: sampleCount }, (_, i) => Math.sin(i) * 1e9);
  const reader = kernelReader();
  reader.clearBatch();
  const { batch } = reader;
  batch.chunkStart.splice(0, Infinity, 0);
  batch.chunkAddress.length = batch.chunkBytes.length = batch.encoding.length = 0;
  // Chunks are padded, so that few samples make many bytes.
  for (let start = 0; start < sampleCount; start += 120) {
    const chunk = encodeXor(times.slice(start, start + 120), values.subarray(start, start + 120));
    putChunk(reader, Buffer.concat([chunk, Buffer.alloc(20_000)]));
  }
  batch.chunkStart.push(batch.chunkAddress.length);
  reader.decode(0);
  const { times: back, values: valuesBack } = reader.samples(times.at(-1) ?? 0, 1e12);
  expect([...back]).toEqual(times);
  expectSameCells(valuesBack, values);
});

test("a series may have chunks of several encodings", () => {
  const times = Array.from({ length: 400 }, (_, i) => i * 15_000);
  const values = Float64Array.from(times, (_, i) => i ** 1.5);
  const raw = Buffer.alloc(8 + 16 * 100);
  raw.writeUInt32LE(100);
  for (let i = 0; i < 100; i++) {
    raw.writeDoubleLE(times[100 + i]!, 8 + 8 * i);
    raw.writeDoubleLE(values[100 + i]!, 808 + 8 * i);
  }
  const packed = encodePacked(times.slice(300), values.slice(300));
  const reader = kernelReader();
  fill(reader, [], 1);
  putChunk(reader, encodeXor(times.slice(0, 100), values.subarray(0, 100)));
  putChunk(reader, raw, CHUNK_RAW);
  putChunk(reader, encodeXor(times.slice(200, 300), values.subarray(200, 300)));
  putChunk(reader, packed, CHUNK_PACKED);
  reader.batch.chunkStart.push(4);
  reader.decode(0);
  const back = reader.samples(1e12, 2e12);
  expect([...back.times]).toEqual(times);
  expectSameCells(back.values, values);
});

/** Takes all of the shared memory: before a reader is made. */
function encodePacked(times: readonly number[], values: Float64Array): Uint8Array {
  memory.clear();
  const count = times.length;
  const columns = [memory.reserve(8 * count), memory.reserve(8 * count)] as const;
  memory.column(columns[0], count).set(times);
  memory.column(columns[1], count).set(values);
  const [chunk, scratch] = [memory.reserve(20 * count + 128), memory.reserve(16 * count + 4096)];
  const chunkBytes = memory.kernel.packedEncode(...columns, count, chunk, 20 * count + 128, scratch);
  return memory.bytes.slice(chunk, chunk + chunkBytes);
}

test("a count that a chunk's bytes cannot hold reserves nothing", () => {
  const limits = { ...DEFAULT_LIMITS, memoryBytesMax: 16 * 1024 * 1024 };
  for (const encoding of [CHUNK_XOR, CHUNK_RAW, CHUNK_PACKED]) {
    const reader = kernelReader(limits);
    fill(reader, [], 1);
    putChunk(reader, new Uint8Array(64).fill(0xff), encoding);
    reader.batch.chunkStart.push(1);
    expect(() => reader.decode(0)).toThrow(expect.objectContaining({ code: "CHUNK_CORRUPT" }));
  }
});

test("a batch takes the next series only as far as its region goes", () => {
  const reader = kernelReader();
  reader.clearBatch();
  expect(reader.batch.reserve(3_000_000)).toBeGreaterThan(0);
  reader.batch.seriesCount = 1;
  expect(reader.batch.reserve(3_000_000)).toBe(undefined);
  expect(reader.batch.reserve(500_000)).toBeGreaterThan(0);
});

test("memory for chunks, samples and rows counts against the query", () => {
  const limits = { ...DEFAULT_LIMITS, memoryBytesMax: 16 * 1024 * 1024 };
  const tooMuch: unknown = expect.objectContaining({ code: "QUERY_LIMIT" });
  expect(() => kernelReader(limits).allocate(3_000_000)).toThrow(tooMuch);
  expect(() => kernelReader(limits).batch.reserve(20_000_000)).toThrow(tooMuch);
  expect(() => {
    const reader = kernelReader(limits);
    for (;;) reader.batch.reserve(60_000);
  }).toThrow(tooMuch);
});

test("a damaged chunk is an error that says so, whatever the damage", () => {
  const chunk = encodeXor(
    Array.from({ length: 120 }, (_, i) => i * 15_000),
    Float64Array.from({ length: 120 }, (_, i) => i ** 1.5),
  );
  const decoded = (bytes: Uint8Array, encoding = CHUNK_XOR) => {
    const reader = kernelReader();
    reader.clearBatch();
    reader.batch.chunkStart.splice(0, Infinity, 0, 1);
    reader.batch.chunkAddress.length = reader.batch.chunkBytes.length = reader.batch.encoding.length = 0;
    putChunk(reader, bytes, encoding);
    reader.decode(0);
    const row = reader.allocate(50);
    const windows = { rangeMs: 300_000, parameter: new Float64Array(50).fill(0.5) };
    for (const name of WINDOW_FUNCTIONS.keys())
      reader.window({ function: name, ...windows }, { startMs: 0, stepMs: 60_000, count: 50 }, row, 0);
    return reader.samples(1e12, 2e12).times.length;
  };
  const corrupt: unknown = expect.objectContaining({ code: "CHUNK_CORRUPT" });
  expect(decoded(chunk)).toBe(120);
  expect(() => decoded(chunk, 7)).toThrow(corrupt);
  expect(() => decoded(chunk.subarray(0, 100))).toThrow(corrupt);
  expect(() => decoded(Uint8Array.of(0xff))).toThrow(corrupt);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(chunk.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      (changes) => {
        const damaged = Uint8Array.from(chunk);
        for (const [at, byte] of changes) damaged[at] = byte;
        // Either it is noticed, or it reads as other samples; it never leaves the columns.
        try {
          decoded(damaged);
        } catch (error) {
          expect(error).toEqual(corrupt);
        }
      },
    ),
    { numRuns: 300 },
  );
});
