import fc from "fast-check";
import { expect, test } from "vitest";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { bitsOf, putColumns, type Sample, STALE_BITS, takeColumns } from "../../support/columns.ts";
import { decodePackedChunk } from "../../support/packed-chunk-twin.ts";
import { anySamples, samplesOf, TIME_CLASSES, VALUE_CLASSES } from "../../support/packed-samples.ts";

const COUNT_MAX = 8192;
const CHUNK_BYTES_MAX = 40 * COUNT_MAX;
const codec = new CodecKernel({
  times: COUNT_MAX * 8,
  values: COUNT_MAX * 8,
  outTimes: COUNT_MAX * 8,
  outValues: COUNT_MAX * 8,
  chunk: CHUNK_BYTES_MAX,
  scratch: COUNT_MAX * 16 + 4096,
});
const { kernel } = codec;

/** Guards are compared byte by byte, so not each time. */
let uses = 0;
const checkGuards = (): void => {
  if (uses++ % 16 === 0) codec.checkGuards();
};

function encode(samples: readonly Sample[], bytesMax = CHUNK_BYTES_MAX): Uint8Array {
  const columns = putColumns(codec, ["times", "values"], samples);
  const chunkBytes = kernel.packedEncode(...columns, codec.at("chunk"), bytesMax, codec.at("scratch"));
  checkGuards();
  return codec.take("chunk", chunkBytes);
}

function decode(chunk: Uint8Array, countMax = COUNT_MAX): Sample[] | undefined {
  const at = codec.put("chunk", chunk);
  const count = kernel.packedDecode(at, chunk.length, codec.at("outTimes"), codec.at("outValues"), countMax);
  checkGuards();
  return count < 0 ? undefined : takeColumns(codec, ["outTimes", "outValues"], count);
}

for (const valueClass of Object.keys(VALUE_CLASSES))
  test(`a packed chunk gives ${valueClass} back bit for bit, and the twin reads the same`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TIME_CLASSES).chain((timeClass) => samplesOf(valueClass, timeClass)),
        (samples) => {
          const chunk = encode(samples);
          expect(kernel.packedSampleCount(codec.put("chunk", chunk), chunk.length)).toBe(samples.length);
          expect(decode(chunk)).toEqual(samples);
          expect(decodePackedChunk(chunk)).toEqual(samples);
        },
      ),
      { numRuns: 30 },
    );
  });

test("a packed chunk has up to 8192 samples", () => {
  const samples = Array.from({ length: COUNT_MAX }, (_, i) => ({ timeMs: i * 1000 + (i % 3), value: bitsOf(i % 17) }));
  expect(decode(encode(samples))).toEqual(samples);
  expect(encode([...samples.slice(1), ...samples.slice(0, 1)].slice(0, 0)).length).toBe(0);
});

test("a packed chunk that is cut short is malformed, and one with more samples than there is room for is refused", () => {
  fc.assert(
    fc.property(anySamples, fc.double({ min: 0, max: 1, noNaN: true }), (samples, part) => {
      const chunk = encode(samples);
      expect(decode(chunk, samples.length - 1)).toBeUndefined();
      expect(decode(chunk.subarray(0, Math.floor(part * (chunk.length - 1))))).toBeUndefined();
      expect(decode(Uint8Array.from([...chunk, 0]))).toBeUndefined();
    }),
  );
});

test("a packed chunk that does not fit is none, and nothing is written beyond the room it was given", () => {
  fc.assert(
    fc.property(anySamples, fc.double({ min: 0, max: 1, noNaN: true }), (samples, part) => {
      const bytesMax = Math.floor(part * encode(samples).length);
      const columns = putColumns(codec, ["times", "values"], samples);
      codec.put("chunk", new Uint8Array(0));
      const chunkBytes = kernel.packedEncode(...columns, codec.at("chunk"), bytesMax, codec.at("scratch"));
      expect(chunkBytes).toBeLessThanOrEqual(bytesMax);
      const behind = codec.take("chunk", bytesMax + 64).subarray(bytesMax);
      expect(behind.every((byte) => byte === 0xa5)).toBe(true);
    }),
  );
});

/** Of 1440 samples, 15 s apart. */
const bytesASample = (value: (i: number) => bigint, time = (i: number) => 1_767_225_600_000 + i * 15_000): number => {
  const samples = Array.from({ length: 1440 }, (_, i) => ({ timeMs: time(i), value: value(i) }));
  const chunk = encode(samples);
  expect(decode(chunk)).toEqual(samples);
  return chunk.length / samples.length;
};
/** Whole numbers in [0, limit) without a pattern. */
const mixed = (i: number, limit: number): number => (Math.imul(i + 1, 0x9e37_79b1) >>> 7) % limit;
const sums = (limit: number): number[] => {
  let total = 0;
  return Array.from({ length: 1440 }, (_, i) => (total += mixed(i, limit)));
};

test("what is regular costs next to nothing, and what is not costs what it must", () => {
  const counter = sums(2000);
  const rows: readonly { readonly what: string; readonly most: number; readonly got: number }[] = [
    { what: "a constant", most: 0.02, got: bytesASample(() => bitsOf(42)) },
    { what: "a constant with no decimals", most: 0.02, got: bytesASample(() => bitsOf(Math.PI)) },
    { what: "NaN all along", most: 0.02, got: bytesASample(() => 0x7ff8_0000_0000_0001n) },
    { what: "a counter", most: 1.42, got: bytesASample((i) => bitsOf(counter[i]!)) },
    { what: "a counter with a reset", most: 1.43, got: bytesASample((i) => bitsOf(counter[i]! - (i < 700 ? 0 : 6e5))) },
    {
      what: "a counter that ends stale",
      most: 1.43,
      got: bytesASample((i) => (i < 1439 ? bitsOf(counter[i]!) : STALE_BITS)),
    },
    { what: "a counter in hundredths", most: 1.42, got: bytesASample((i) => bitsOf(counter[i]! / 100)) },
    { what: "multiples of 4096", most: 1.31, got: bytesASample((i) => bitsOf(4096 * mixed(i, 1000))) },
    {
      what: "a constant at jittery times",
      most: 0.7,
      got: bytesASample(
        () => 0n,
        (i) => i * 15_000 + mixed(i, 20),
      ),
    },
    {
      what: "a constant with missing samples",
      most: 0.05,
      got: bytesASample(
        () => 0n,
        (i) => (i + (i >> 9)) * 15_000,
      ),
    },
  ];
  for (const { what, most, got } of rows) expect(got, what).toBeLessThan(most);
});
