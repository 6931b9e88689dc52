/** Which of the head's reader slots are taken: one for each query worker that lives. */
import type { HeadMemory } from "../kernel/head-memory.ts";

export class ReaderSlots {
  readonly #memory: HeadMemory;
  readonly #taken = new Set<number>();

  constructor(memory: HeadMemory) {
    this.#memory = memory;
  }

  /** A free slot; undefined when all are taken. */
  take(): number | undefined {
    for (let slot = 0; slot < this.#memory.at.READER_SLOTS; slot++) {
      if (this.#taken.has(slot)) continue;
      this.#taken.add(slot);
      return slot;
    }
    return undefined;
  }

  /** The worker is dead: what it had pinned holds nothing up any more. */
  free(slot: number): void {
    if (!this.#taken.delete(slot)) return;
    this.#memory.kernel.unpin(slot);
    this.#memory.kernel.unpinView(slot);
  }
}
