import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { decodeXorChunk, encodeXorChunk, type XorSample } from "../../support/xor-chunk-twin.ts";

const COUNT_MAX = 256;
const codec = new CodecKernel({
  times: COUNT_MAX * 8,
  values: COUNT_MAX * 8,
  chunk: 8192,
  state: 64,
});

function encode(samples: readonly XorSample[]): Uint8Array {
  const times = Float64Array.from(samples, ({ timestampMs }) => Number(timestampMs));
  const values = BigUint64Array.from(samples, ({ value }) => value);
  codec.put("chunk", new Uint8Array(0));
  const byteCount = codec.kernel.xorEncode(
    codec.put("times", new Uint8Array(times.buffer)),
    codec.put("values", new Uint8Array(values.buffer)),
    samples.length,
    codec.at("chunk"),
    codec.at("state"),
  );
  codec.checkGuards();
  return codec.take("chunk", byteCount);
}

function decode(chunk: Uint8Array, countMax = COUNT_MAX): XorSample[] | undefined {
  const address = codec.put("chunk", chunk);
  const count = codec.kernel.xorDecode(address, chunk.length, codec.at("times"), codec.at("values"), countMax);
  codec.checkGuards();
  if (count < 0) return undefined;
  const times = new Float64Array(codec.take("times", count * 8).buffer);
  const values = new BigUint64Array(codec.take("values", count * 8).buffer);
  return Array.from(times, (time, i) => ({ timestampMs: BigInt(time), value: values[i]! }));
}

interface Golden {
  readonly name: string;
  readonly times: readonly string[];
  readonly values: readonly string[];
  readonly chunk: string;
}
const golden = JSON.parse(
  readFileSync(new URL("../../testdata/xor-chunks/chunks.json", import.meta.url), "utf8"),
) as readonly Golden[];

test.each(golden)("Prometheus' chunk of $name is read and written bit for bit", ({ times, values, chunk }) => {
  const samples = times.map((time, i) => ({ timestampMs: BigInt(time), value: BigInt(`0x${values[i]!}`) }));
  const bytes = Uint8Array.from(Buffer.from(chunk, "base64"));
  expect(decodeXorChunk(bytes)).toEqual(samples);
  expect(decode(bytes)).toEqual(samples);
  // Go's encoder begins a byte early when it is full, and leaves the last one empty: a zero that nobody reads.
  const written = encode(samples);
  expect(written).toEqual(encodeXorChunk(samples));
  expect(bytes.subarray(0, written.length)).toEqual(written);
  expect(bytes.subarray(written.length).every((byte) => byte === 0)).toBe(true);
  expect(bytes.length - written.length).toBeLessThanOrEqual(1);
});

const word = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.double().map((value) => new BigUint64Array(Float64Array.of(value).buffer)[0]!),
  fc.integer({ min: 0, max: 1000 }).map((value) => new BigUint64Array(Float64Array.of(value).buffer)[0]!),
  fc.constantFrom(0n, 1n << 63n, 0x7ff0_0000_0000_0002n, 0x7ff8_0000_0000_0000n, 1n),
);
/** Around each width of a delta of deltas, and small ones. */
const step = fc.oneof(
  fc.constantFrom(15_000n, 15_001n, 14_999n),
  fc.bigInt({ min: 1n, max: 2n ** 22n }),
  fc.constantFrom(8191n, 8192n, 8193n, 65_535n, 65_536n, 65_537n, 524_287n, 524_288n, 524_289n, 2n ** 40n),
);
const columns = fc
  .tuple(
    fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n }),
    fc.array(fc.tuple(step, word), { minLength: 1, maxLength: 140 }),
  )
  .map(([start, steps]) => {
    let timestampMs = start;
    return steps.map(([delta, value]): XorSample => ({ timestampMs: (timestampMs += delta), value }));
  });

test("an XOR chunk gives back the samples it was given, and is the twin's chunk byte for byte", () => {
  fc.assert(
    fc.property(columns, (samples) => {
      const chunk = encode(samples);
      expect(chunk).toEqual(encodeXorChunk(samples));
      expect(decode(chunk)).toEqual(samples);
      expect(decodeXorChunk(chunk)).toEqual(samples);
    }),
  );
});

test("a chunk that is cut short is malformed, and one with more samples than there is room for is refused", () => {
  fc.assert(
    fc.property(columns, fc.double({ min: 0, max: 1, noNaN: true }), (samples, part) => {
      const chunk = encode(samples);
      expect(decode(chunk, samples.length - 1)).toBeUndefined();
      const cut = chunk.subarray(0, Math.floor(part * (chunk.length - 1)));
      expect(decode(cut)).toBeUndefined();
    }),
  );
});
