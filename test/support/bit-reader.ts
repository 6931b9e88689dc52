/** The bits of an XOR chunk, of any encoding, from the highest of each byte on: what the twins of its decoders read. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(width: number): bigint {
    let value = 0n;
    for (let i = 0; i < width; i++, this.#at++) {
      const byte = this.#bytes[this.#at >> 3];
      if (byte === undefined) throw new Error("the chunk ends too soon");
      value = (value << 1n) | BigInt((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  uvarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(8);
      value |= (byte & 127n) << shift;
      if (byte < 128n && value >= 2n ** 64n) throw new Error("a varint of more than 64 bits");
      if (byte < 128n) return value;
    }
    throw new Error("a varint of more than ten bytes");
  }

  varint(): bigint {
    const zigzag = this.uvarint();
    return (zigzag & 1n) === 0n ? zigzag >> 1n : -((zigzag + 1n) >> 1n);
  }

  /** How many of `max` ones stand before the first zero; the zero is taken too. */
  ones(max: number): number {
    for (let ones = 0; ones < max; ones++) if (this.take(1) === 0n) return ones;
    return max;
  }

  /** The leading and trailing zeros of a new window. */
  window(): { readonly leading: number; readonly trailing: number } {
    const leading = Number(this.take(5));
    const significant = Number(this.take(6)) || 64;
    if (leading + significant > 64) throw new Error("a window of more than 64 bits");
    return { leading, trailing: 64 - leading - significant };
  }
}
