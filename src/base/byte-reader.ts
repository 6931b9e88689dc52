/** Bytes taken apart one number after the other. Big-endian, Go's varints. Reading past the end throws EndOfBytes. */

export class EndOfBytes extends RangeError {
  constructor() {
    super("it ends too soon");
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Where it reads next. */
  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  u8(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new EndOfBytes();
    this.#at++;
    return byte;
  }

  u32(): number {
    if (this.left < 4) throw new EndOfBytes();
    const value = loadU32(this.#bytes, this.#at);
    this.#at += 4;
    return value;
  }

  /** A number of 2^53 and above comes rounded. */
  u64(): number {
    return this.u32() * 2 ** 32 + this.u32();
  }

  /** A number of 2^53 and above comes rounded. */
  uvarint(): number {
    let byte = this.u8();
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    for (let count = 1; count < 10; count++, scale *= 128) {
      byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("a number has more than 64 bits");
  }

  /** A number of 2^52 and above may come rounded. */
  varint(): number {
    const value = this.uvarint();
    if (value < 2 ** 53) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    // From here on the last bit, which is the sign, may have been rounded away: look at it again.
    let first = this.#at - 1;
    while (first > 0 && this.#bytes[first - 1]! >= 128) first--;
    return (this.#bytes[first]! & 1) === 0 ? value / 2 : -value / 2;
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) throw new EndOfBytes();
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

export const loadU32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
