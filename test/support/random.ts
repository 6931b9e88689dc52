/**
 * Random numbers that a seed repeats exactly, for tests that print their seed when they fail. mulberry32: 32 bits of state
 * are plenty for choosing operations and bytes, and it is fast enough to fill buffers.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new RangeError("Cannot pick from nothing");
    return from[this.below(from.length)]!;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }

  /** A generator of its own, so that drawing more numbers here does not change what is drawn there. */
  fork(): Random {
    return new Random(this.below(2 ** 32));
  }
}

/** The seed to start from: SEED when it is set, so that a failure can be repeated, otherwise a fresh one. */
export function seedFromEnv(): number {
  const given = Number(process.env["SEED"]);
  return Number.isInteger(given) && process.env["SEED"] !== "" ? given >>> 0 : Math.floor(Math.random() * 2 ** 32);
}
