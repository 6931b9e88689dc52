/**
 * What the hash of a series' samples begins with: 64 bits made of its labels, the same for equal labels in whatever block,
 * so that a sample that went to another series changes the sum.
 */
import type { Symbols } from "../index/symbol-table.ts";

export class SeriesSeeds {
  readonly #symbols: Symbols;
  /** By symbol: two words, and whether they were computed. */
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #isKnown: Uint8Array;

  constructor(symbols: Symbols) {
    this.#symbols = symbols;
    this.#low = new Uint32Array(symbols.count);
    this.#high = new Uint32Array(symbols.count);
    this.#isKnown = new Uint8Array(symbols.count);
  }

  /** @param labels numbers of symbols: name, value, name, value, ... */
  of(labels: Uint32Array, labelCount: number): bigint {
    let low = 0x9e3779b9;
    let high = 0x7f4a7c15;
    for (let i = 0; i < 2 * labelCount; i++) {
      const symbol = labels[i]!;
      if (this.#isKnown[symbol] === 0) this.#compute(symbol);
      low = mix(low ^ this.#low[symbol]!, 0x85ebca6b);
      high = mix(high ^ this.#high[symbol]! ^ low, 0xc2b2ae35);
    }
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  }

  #compute(symbol: number): void {
    const bytes = this.#symbols.bytesOf(symbol);
    let low = bytes.byteLength;
    let high = ~bytes.byteLength;
    for (let i = 0; i < bytes.byteLength; i++) {
      low = mix(low ^ bytes[i]!, 0x9e3779b1);
      high = mix(high ^ bytes[i]!, 0x27d4eb2f);
    }
    this.#low[symbol] = low;
    this.#high[symbol] = high;
    this.#isKnown[symbol] = 1;
  }
}

/** The multiplier is odd and the shift undoes nothing: no two words become one. */
const mix = (word: number, multiplier: number): number => {
  const product = Math.imul(word, multiplier);
  return product ^ (product >>> 15);
};
