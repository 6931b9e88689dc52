/**
 * Samples of one series in kernel memory, as two columns that grow: ascending times, and values bit for bit. What was taken
 * from the front is skipped over, and moved away from when room is needed.
 */
import { assert } from "../../base/assert.ts";
import type { PrivateMemory } from "../kernel/private-memory.ts";

const CAPACITY_AT_FIRST = 1024;

export class SampleColumns {
  readonly #memory: PrivateMemory;
  #timesAddress = 0;
  #valuesAddress = 0;
  #capacity = 0;
  #start = 0;
  #end = 0;
  #viewed: Uint8Array | undefined;
  #view: Float64Array = new Float64Array(0);

  constructor(memory: PrivateMemory) {
    this.#memory = memory;
  }

  get count(): number {
    return this.#end - this.#start;
  }

  /** Address of the first sample's time. */
  get times(): number {
    return this.#timesAddress + 8 * this.#start;
  }

  get values(): number {
    return this.#valuesAddress + 8 * this.#start;
  }

  /** Where the next sample goes. */
  get endTimes(): number {
    return this.#timesAddress + 8 * this.#end;
  }

  get endValues(): number {
    return this.#valuesAddress + 8 * this.#end;
  }

  get lastTime(): number {
    assert(this.count > 0, "no samples, no last one");
    return this.#timeAt(this.#end - 1);
  }

  /** @param i from the first sample */
  timeAt(i: number): number {
    return this.#timeAt(this.#start + i);
  }

  clear(): void {
    this.#start = this.#end = 0;
  }

  /** Makes room for so many more samples. Addresses may change. */
  reserve(count: number): void {
    if (this.#end + count <= this.#capacity) return;
    const kept = this.count;
    const wanted = kept + count;
    if (wanted <= this.#capacity) {
      this.#move(this.#timesAddress, this.#valuesAddress);
    } else {
      // Powers of two: what is left behind is less than what is used.
      let capacity = Math.max(CAPACITY_AT_FIRST, this.#capacity);
      while (capacity < wanted) capacity *= 2;
      const times = this.#memory.reserve(8 * capacity);
      const values = this.#memory.reserve(8 * capacity);
      this.#move(times, values);
      this.#timesAddress = times;
      this.#valuesAddress = values;
      this.#capacity = capacity;
    }
    this.#start = 0;
    this.#end = kept;
  }

  /** Says that so many samples were written behind the last, in room that was reserved. */
  addCount(count: number): void {
    assert(this.#end + count <= this.#capacity, "more samples than room");
    this.#end += count;
  }

  /** Forgets the first samples. */
  dropFirst(count: number): void {
    this.#start += count;
    assert(this.#start <= this.#end, "more dropped than there are");
    if (this.#start === this.#end) this.clear();
  }

  /** How many samples have a time before `time`. */
  countBefore(time: number): number {
    const times = this.#floats();
    const first = this.#timesAddress / 8;
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[first + middle]! < time) low = middle + 1;
      else high = middle;
    }
    return low - this.#start;
  }

  /** Copies the first samples of another behind the last, to room that was reserved; `addCount` says that they are there. */
  copyBehind(from: SampleColumns, count: number): void {
    const { bytes } = this.#memory;
    bytes.copyWithin(this.endTimes, from.times, from.times + 8 * count);
    bytes.copyWithin(this.endValues, from.values, from.values + 8 * count);
  }

  #timeAt(index: number): number {
    return this.#floats()[this.#timesAddress / 8 + index]!;
  }

  /** All of the memory; made anew only when it has grown, since this is asked for often. */
  #floats(): Float64Array {
    const { bytes } = this.#memory;
    if (this.#viewed !== bytes) {
      this.#viewed = bytes;
      this.#view = new Float64Array(bytes.buffer);
    }
    return this.#view;
  }

  #move(times: number, values: number): void {
    const { bytes } = this.#memory;
    const length = 8 * this.count;
    bytes.copyWithin(times, this.times, this.times + length);
    bytes.copyWithin(values, this.values, this.values + length);
  }
}
