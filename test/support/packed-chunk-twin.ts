/**
 * Packed chunks by the book (docs/format/packed-chunk.md), with BigInts and one bit at a time: what the kernel's decoder must
 * agree with on any bytes.
 */
import { bitsOf, type Sample } from "./columns.ts";

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

const KINDS = [
  undefined,
  0x7ff0_0000_0000_0002n,
  0x7ff8_0000_0000_0001n,
  bitsOf(Infinity),
  bitsOf(-Infinity),
  bitsOf(-0),
] as const;

/** @throws Error when the chunk is malformed */
export function decodePackedChunk(chunk: Uint8Array): Sample[] {
  const reader = new Reader(chunk);
  const count = Number(reader.varint(2));
  if (count < 1 || count > 8192) throw new Error(`${count} samples`);
  const first = reader.zigzag();
  const last = signed(first + reader.varint());
  const times = readColumn(reader, count, first, () => (count === 1 ? 0n : signed(last - first) / BigInt(count - 1)));
  if (Number(times.at(-1)) !== Number(last)) throw new Error("the last time is another");

  const mode = reader.byte();
  const exponent = mode & 0x7f;
  if (exponent > 22 && exponent !== 31) throw new Error(`mode ${mode}`);
  const firstValue = exponent === 31 ? signed(reader.bits(64)) : reader.zigzag();
  const numbers = readColumn(reader, count, firstValue, () => reader.zigzag());
  const values = numbers.map((x) =>
    exponent === 31 ? BigInt.asUintN(64, x) : bitsOf(Number(x) / Number(`1e${exponent}`)),
  );
  if (mode >= 0x80) readSpecials(reader, values);
  if (!reader.isAtEnd) throw new Error("bytes behind the chunk");
  return times.map((time, i) => ({ timeMs: Number(time), value: values[i]! }));
}

function readSpecials(reader: Reader, values: bigint[]): void {
  const runs = Number(reader.varint(3));
  let at = 0;
  for (let run = 0; run < runs; run++) {
    at += Number(reader.varint(3));
    const end = at + Number(reader.varint(3));
    if (end > values.length) throw new Error("specials behind the last sample");
    const kind = reader.byte();
    if (kind >= KINDS.length) throw new Error(`special of kind ${kind}`);
    values.fill(KINDS[kind] ?? reader.bits(64), at, end);
    at = end;
  }
}

function readColumn(reader: Reader, count: number, first: bigint, equalStep: () => bigint): bigint[] {
  const head = reader.byte();
  if (head === 4) {
    const step = equalStep();
    return Array.from({ length: count }, (_, i) => signed(first + BigInt(i) * step));
  }
  const order = head & 3;
  if ((head & ~11) !== 0 || count < 2) throw new Error(`column of head ${head}`);
  const factor = (head & 8) === 0 ? 1n : reader.varint();
  const slope = order >= 2 ? factor * reader.zigzag() : 0n;
  const numbers = [first];
  let difference = slope;
  if (order === 2) numbers.push(signed(first + slope));
  while (numbers.length < count)
    for (const residual of readBlock(reader, Math.min(128, count - numbers.length))) {
      const [i, before, step] = [BigInt(numbers.length), numbers.at(-1), factor * residual];
      if (order === 2) difference += step;
      numbers.push(signed([first + step, before + step, before + difference, first + i * slope + step][order]!));
    }
  return numbers;
}

function readBlock(reader: Reader, count: number): bigint[] {
  const form = reader.byte();
  const width = form & 127;
  if (width > 64) throw new Error(`${width} bits`);
  const least = reader.zigzag();
  const residuals = Array.from({ length: count }, () => least + reader.bits(width));
  reader.toWholeByte();
  if (form < 128) return residuals;
  if (width === 64) throw new Error("exceptions to all bits");
  let before = -1;
  for (let exceptions = reader.byte(); exceptions > 0; exceptions--) {
    const index = reader.byte();
    if (index <= before || index >= count) throw new Error(`exception at ${index}`);
    before = index;
    residuals[index]! += reader.zigzag() << BigInt(width);
  }
  return residuals;
}

class Reader {
  readonly #bytes: Uint8Array;
  #bit = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#bit === 8 * this.#bytes.length;
  }

  bits(width: number): bigint {
    let value = 0n;
    for (let i = 0; i < width; i++, this.#bit++) {
      const byte = this.#bytes[this.#bit >> 3];
      if (byte === undefined) throw new Error("the chunk ends too soon");
      value |= BigInt((byte >> (this.#bit & 7)) & 1) << BigInt(i);
    }
    return value;
  }

  byte(): number {
    return Number(this.bits(8));
  }

  toWholeByte(): void {
    this.#bit = (this.#bit + 7) & ~7;
  }

  varint(bytesMax = 10): bigint {
    let value = 0n;
    for (let i = 0; i < bytesMax; i++) {
      const byte = this.bits(8);
      value |= (byte & 127n) << BigInt(7 * i);
      if (byte < 128n && value >= 2n ** 64n) throw new Error("a varint of more than 64 bits");
      if (byte < 128n) return value;
    }
    throw new Error(`a varint of more than ${bytesMax} bytes`);
  }

  zigzag(): bigint {
    const value = this.varint();
    return (value & 1n) === 0n ? value >> 1n : -((value + 1n) >> 1n);
  }
}
