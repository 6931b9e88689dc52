/**
 * Makes packed chunks (docs/format/packed-chunk.md) of long runs of samples. Where XOR takes fewer bytes, as it does for some
 * doubles that are not decimal, a run becomes XOR chunks as Prometheus cuts them.
 */
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_PACKED } from "../storage.ts";
import { Arena } from "./arena.ts";
import type { ChunkEncoder, EncodedChunk } from "./run-writer.ts";
import { XorEncoder } from "./xor-encoder.ts";

/**
 * A first sample and 17 blocks of 128: 6 h of samples 10 s apart, 18 h at 30 s, fit without a small rest. Longer runs save
 * less than a hundredth (bench/codecs.ts), and a query of a few minutes decodes a whole one.
 */
export const PACKED_SAMPLES = 2177;

/** Below so many bytes a sample, packing is shorter than XOR for certain, or nearly so. */
const SURE_SAMPLE_BYTES = 2;

/** What does not fit is shorter as XOR. */
const SAMPLE_BYTES_MAX = 18;
const HEADER_BYTES_MAX = 128;
const SCRATCH_BYTES = 16 * PACKED_SAMPLES + 4096;

export class PackedEncoder implements ChunkEncoder {
  readonly samplesMax = PACKED_SAMPLES;
  readonly #memory: PrivateMemory;
  readonly #out: Arena;
  readonly #scratch: number;
  readonly #xor: XorEncoder;

  constructor(memory: PrivateMemory) {
    this.#memory = memory;
    this.#out = new Arena(memory);
    this.#scratch = memory.reserve(SCRATCH_BYTES);
    this.#xor = new XorEncoder(memory);
  }

  encode(times: number, values: number, count: number): readonly EncodedChunk[] {
    const room = HEADER_BYTES_MAX + SAMPLE_BYTES_MAX * count;
    const address = this.#out.reserve(room);
    const bytes = this.#memory.kernel.packedEncode(times, values, count, address, room, this.#scratch);
    this.#out.shrink(address, bytes);
    if (bytes === 0) return this.#pieces(times, values, count);
    if (bytes > SURE_SAMPLE_BYTES * count) {
      const pieces = this.#pieces(times, values, count);
      if (pieces.reduce((sum, { data }) => sum + data.byteLength, 0) < bytes) return pieces;
    }
    return [{ encoding: CHUNK_PACKED, data: this.#out.view(address, bytes), sampleCount: count }];
  }

  reset(): void {
    this.#out.reset();
    this.#xor.reset();
  }

  #pieces(times: number, values: number, count: number): readonly EncodedChunk[] {
    const pieces: EncodedChunk[] = [];
    const { samplesMax } = this.#xor;
    for (let first = 0; first < count; first += samplesMax)
      pieces.push(...this.#xor.encode(times + 8 * first, values + 8 * first, Math.min(samplesMax, count - first)));
    return pieces;
  }
}
