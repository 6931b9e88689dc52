/** Makes XOR chunks as Prometheus cuts them. */
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_XOR } from "../storage.ts";
import { Arena } from "./arena.ts";
import type { ChunkEncoder, EncodedChunk } from "./run-writer.ts";

const SAMPLES_MAX = 120;
/** A sample takes 145 bits at most, the first one and the count 20 B. */
const SAMPLE_BYTES_MAX = 19;
const HEADER_BYTES_MAX = 32;
const STATE_BYTES = 64;

export class XorEncoder implements ChunkEncoder {
  readonly samplesMax = SAMPLES_MAX;
  readonly #memory: PrivateMemory;
  readonly #out: Arena;
  readonly #state: number;

  constructor(memory: PrivateMemory) {
    this.#memory = memory;
    this.#out = new Arena(memory);
    this.#state = memory.reserve(STATE_BYTES);
  }

  encode(times: number, values: number, count: number): readonly EncodedChunk[] {
    const address = this.#out.reserve(HEADER_BYTES_MAX + SAMPLE_BYTES_MAX * count);
    const bytes = this.#memory.kernel.xorEncode(times, values, count, address, this.#state);
    this.#out.shrink(address, bytes);
    return [{ encoding: CHUNK_XOR, data: this.#out.view(address, bytes), sampleCount: count }];
  }

  reset(): void {
    this.#out.reset();
  }
}
