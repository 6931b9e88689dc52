/**
 * Room in kernel memory that is handed out piece by piece and taken back all at once, such as for the chunks of one series.
 * It grows by slabs, which stay: as large as what was once needed at one time.
 */
import type { CodecExports } from "../kernel/codec-exports.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";
import type { ChunkMemory } from "../storage.ts";

const SLAB_BYTES = 1024 * 1024;
/** What codecs read, and wide stores touch, past the end of a piece. */
const SLACK_BYTES = 64;

interface Slab {
  readonly address: number;
  readonly bytes: number;
}

export class Arena implements ChunkMemory {
  readonly #memory: PrivateMemory;
  readonly #slabs: Slab[] = [];
  #slab = 0;
  #used = 0;

  constructor(memory: PrivateMemory) {
    this.#memory = memory;
  }

  get kernel(): CodecExports {
    return this.#memory.kernel;
  }

  /** Takes all pieces back. */
  reset(): void {
    this.#slab = this.#used = 0;
  }

  reserve(bytes: number): number {
    const size = Math.ceil((bytes + SLACK_BYTES) / 64) * 64;
    for (; ; this.#slab++, this.#used = 0) {
      const slab = (this.#slabs[this.#slab] ??= this.#newSlab(size));
      if (this.#used + size > slab.bytes) continue;
      this.#used += size;
      return slab.address + this.#used - size;
    }
  }

  /** Gives back the end of the piece that was reserved last, of which only the first bytes are used. */
  shrink(address: number, usedBytes: number): void {
    const slab = this.#slabs[this.#slab]!;
    this.#used = Math.ceil((address - slab.address + usedBytes + SLACK_BYTES) / 64) * 64;
  }

  store(address: number, chunk: Uint8Array): void {
    this.#memory.bytes.set(chunk, address);
  }

  view(address: number, bytes: number): Uint8Array {
    return this.#memory.bytes.subarray(address, address + bytes);
  }

  #newSlab(bytes: number): Slab {
    const size = Math.max(SLAB_BYTES, bytes);
    return { address: this.#memory.reserve(size), bytes: size };
  }
}
