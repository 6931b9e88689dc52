/** Room for chunks in memory of JavaScript's own, where nothing decodes them: on their way from the head to an arena. */
import { AssertionError } from "../../base/assert.ts";
import type { CodecExports } from "../kernel/codec-exports.ts";
import type { ChunkMemory } from "../storage.ts";

const SLACK_BYTES = 16;

export class PlainChunkMemory implements ChunkMemory {
  #bytes = new Uint8Array(1024 * 1024);
  #used = 0;

  get kernel(): CodecExports {
    throw new AssertionError("no kernel works on this memory");
  }

  /** Takes back all that was handed out. */
  clear(): void {
    this.#used = 0;
  }

  reserve(bytes: number): number {
    const address = this.#used;
    this.#used += bytes + SLACK_BYTES;
    if (this.#used > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(this.#used, 2 * this.#bytes.byteLength));
      larger.set(this.#bytes.subarray(0, address));
      this.#bytes = larger;
    }
    return address;
  }

  store(address: number, chunk: Uint8Array): void {
    this.#bytes.set(chunk, address);
  }

  view(address: number, bytes: number): Uint8Array {
    return this.#bytes.subarray(address, address + bytes);
  }
}
