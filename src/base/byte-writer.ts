/** Bytes put together one number after the other, in a buffer that grows and is used again. Big-endian, Go's varints. */
import { grown } from "./grown.ts";

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written since the last `clear`; valid until more is written. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    const bytes = this.#bytes;
    bytes[this.#length++] = value >>> 24;
    bytes[this.#length++] = value >>> 16;
    bytes[this.#length++] = value >>> 8;
    bytes[this.#length++] = value;
  }

  /** @param value a whole number below 2^53 */
  u64(value: number): void {
    this.u32(Math.floor(value / 2 ** 32));
    this.u32(value >>> 0);
  }

  /** @param value a whole number below 2^53 */
  uvarint(value: number): void {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 0x8000_0000; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    for (; rest >= 128; rest >>>= 7) this.#bytes[this.#length++] = (rest & 127) | 128;
    this.#bytes[this.#length++] = rest;
  }

  /** Zigzag. @param value a whole number; beyond 64 bits the nearest one that fits */
  varint(value: number): void {
    if (Math.abs(value) < 2 ** 51) return this.uvarint(value >= 0 ? value * 2 : -value * 2 - 1);
    this.#reserve(10);
    const whole = value >= 2 ** 63 ? 2n ** 63n - 1n : value < -(2 ** 63) ? -(2n ** 63n) : BigInt(value);
    let rest = whole >= 0n ? whole * 2n : -whole * 2n - 1n;
    for (; rest >= 128n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.byteLength;
  }

  zeros(count: number): void {
    this.#reserve(count);
    this.#bytes.fill(0, this.#length, this.#length + count);
    this.#length += count;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.byteLength) return;
    this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(this.#bytes.byteLength * 2, this.#length + count)));
  }
}
