import fc from "fast-check";
import { expect, test } from "vitest";
import { PACKED_SAMPLES, PackedEncoder } from "../../../src/tsdb/compact/packed-encoder.ts";
import type { ChunkEncoder, EncodedChunk } from "../../../src/tsdb/compact/run-writer.ts";
import { XorEncoder } from "../../../src/tsdb/compact/xor-encoder.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import { CHUNK_PACKED, CHUNK_XOR } from "../../../src/tsdb/storage.ts";
import { bitsOf, type Sample } from "../../support/columns.ts";
import { decodePackedChunk } from "../../support/packed-chunk-twin.ts";
import { anySamples } from "../../support/packed-samples.ts";
import { Random } from "../../support/random.ts";
import { decodeXorChunk } from "../../support/xor-chunk-twin.ts";

const memory = new PrivateMemory(loadKernelModule());
const packed = new PackedEncoder(memory);
const xor = new XorEncoder(memory);
const times = memory.reserve(8 * PACKED_SAMPLES);
const values = memory.reserve(8 * PACKED_SAMPLES);

/** The chunks of a run, cut as RunWriter cuts it. */
function encode(encoder: ChunkEncoder, samples: readonly Sample[]): readonly EncodedChunk[] {
  encoder.reset();
  memory.column(times, samples.length).set(samples.map(({ timeMs }) => timeMs));
  const words = new BigUint64Array(memory.bytes.buffer, values, samples.length);
  words.set(samples.map(({ value }) => value));
  const chunks: EncodedChunk[] = [];
  for (let first = 0; first < samples.length; first += encoder.samplesMax) {
    const count = Math.min(encoder.samplesMax, samples.length - first);
    chunks.push(...encoder.encode(times + 8 * first, values + 8 * first, count));
  }
  return chunks;
}

const decode = ({ encoding, data }: EncodedChunk): Sample[] =>
  encoding === CHUNK_PACKED
    ? decodePackedChunk(data)
    : decodeXorChunk(data).map(({ timestampMs, value }) => ({ timeMs: Number(timestampMs), value }));

const bytesOf = (chunks: readonly EncodedChunk[]): number => chunks.reduce((sum, { data }) => sum + data.byteLength, 0);

test("a run comes back bit for bit, and takes no more bytes than as XOR chunks", () => {
  fc.assert(
    fc.property(anySamples, (samples) => {
      const chunks = encode(packed, samples);
      expect(chunks.flatMap(decode)).toEqual(samples);
      expect(chunks.map(({ sampleCount }) => sampleCount)).toEqual(chunks.map((chunk) => decode(chunk).length));
      const bytes = bytesOf(chunks);
      // What takes two bytes a sample or less is not compared.
      expect(bytes).toBeLessThanOrEqual(Math.max(bytesOf(encode(xor, samples)), 2 * samples.length));
    }),
  );
});

test("values that repeat now and then, and are not decimal, stay XOR chunks", () => {
  const random = new Random(1);
  let value = Math.PI;
  const samples = Array.from({ length: 1000 }, (_, i) => {
    if (random.chance(0.2)) value = random.next() * 1e-300;
    return { timeMs: i * 15_000, value: bitsOf(value) };
  });
  const chunks = encode(packed, samples);
  expect(new Set(chunks.map(({ encoding }) => encoding))).toEqual(new Set([CHUNK_XOR]));
  expect(chunks.flatMap(decode)).toEqual(samples);
});
