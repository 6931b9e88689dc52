/**
 * The data of samples records in the write-ahead log by the book (docs/format/wal.md): what one segment's records say, and
 * records that say it in any of the ways the format allows.
 */
import type { Random } from "./random.ts";
import { type ByteLabel, inRange, varint } from "./remote-write-twin.ts";

export interface WalRow {
  readonly ref: number;
  readonly timestampMs: bigint;
  readonly value: bigint;
  readonly isLate: boolean;
}

export interface DecodedRecord {
  readonly declared: ReadonlyMap<number, readonly ByteLabel[]>;
  readonly rows: readonly WalRow[];
}

const unzigzag = (value: bigint): bigint => (value & 1n ? -((value + 1n) >> 1n) : value >> 1n);
const zigzag = (value: bigint): bigint => (value < 0n ? -2n * value - 1n : 2n * value);

/** What a deletes record says. @throws Error when it contradicts itself */
export function decodeDeletes(data: Uint8Array): { ref: number; mint: bigint; maxt: bigint }[] {
  let at = 0;
  const next = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++];
      if (byte === undefined) throw new Error("the record ends too soon");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return inRange(value);
    }
  };
  if (next() + next() !== 0n) throw new Error("a deletes record declares something");
  let ref = -1n;
  let mint = 0n;
  const rows = Array.from({ length: Number(next()) }, () => {
    ref += unzigzag(next());
    mint += unzigzag(next());
    return { ref: Number(ref), mint, maxt: mint + next() };
  });
  if (at !== data.length) throw new Error("bytes behind the last delete");
  return rows;
}

/** A segment from its first record on, as a reader sees it. */
export class WalSegmentReader {
  readonly #symbols: ByteLabel[] = [];
  readonly #series = new Map<number, readonly ByteLabel[]>();
  readonly #lastValues = new Map<number, bigint>();

  /** @throws Error when the record contradicts itself or those before it */
  decode(data: Uint8Array): DecodedRecord {
    let at = 0;
    const take = (byteCount: number): Uint8Array => {
      if (at + byteCount > data.length) throw new Error("the record ends too soon");
      return data.subarray(at, (at += byteCount));
    };
    const next = (): bigint => {
      let value = 0n;
      for (let shift = 0n; shift < 70n; shift += 7n) {
        const byte = BigInt(take(1)[0]!);
        value |= (byte & 127n) << shift;
        if (byte < 128n) return inRange(value);
      }
      throw new Error("a varint of more than ten bytes");
    };
    const text = (): string => Buffer.from(take(Number(next()))).toString("latin1");

    for (let left = next(); left > 0n; left--) this.#symbols.push([text(), text()]);
    const declared = new Map<number, readonly ByteLabel[]>();
    let ref = 0n;
    for (let left = next(); left > 0n; left--) {
      ref += unzigzag(next());
      const labels: ByteLabel[] = [];
      for (let labelsLeft = next(); labelsLeft > 0n; labelsLeft--) {
        const symbol = this.#symbols[Number(next())];
        if (symbol === undefined) throw new Error("a symbol that was not declared");
        labels.push(symbol);
      }
      declared.set(Number(ref), labels);
      this.#series.set(Number(ref), labels);
      this.#lastValues.set(Number(ref), 0n);
    }
    const rows: WalRow[] = [];
    let timestampMs = 0n;
    ref = -1n;
    for (let left = next(); left > 0n; left--) {
      const flag = take(1)[0]!;
      ref += flag & 1 ? unzigzag(next()) : 1n;
      if (flag & 2) timestampMs += unzigzag(next());
      const code = (flag >> 2) & 7;
      const bytes = take(code === 7 ? 8 : code);
      const cut = code === 7 ? 0 : flag >> 5;
      const xor = bytes.reduce((sum, byte, i) => sum | (BigInt(byte) << BigInt(8 * (i + cut))), 0n);
      const before = this.#lastValues.get(Number(ref));
      if (before === undefined) throw new Error("a series that was not declared");
      // A late sample stands apart: its value as it is.
      const isLate = code === 7 && flag >> 5 === 1;
      const value = isLate ? xor : before ^ xor;
      if (!isLate) this.#lastValues.set(Number(ref), value);
      rows.push({ ref: Number(ref), timestampMs, value, isLate });
    }
    if (at !== data.length) throw new Error("bytes behind the last sample");
    return { declared, rows };
  }

  labelsOf = (ref: number): readonly ByteLabel[] | undefined => this.#series.get(ref);
}

/** A segment from its first record on, as a writer makes it. */
export class WalSegmentWriter {
  readonly #symbols = new Map<string, number>();
  readonly #lastValues = new Map<number, bigint>();
  readonly #labelsOf: (ref: number) => readonly ByteLabel[];
  readonly #random: Random;
  #symbolCount = 0;

  constructor(labelsOf: (ref: number) => readonly ByteLabel[], random: Random) {
    this.#labelsOf = labelsOf;
    this.#random = random;
  }

  encode(rows: readonly WalRow[]): Uint8Array {
    const symbols: Uint8Array[] = [];
    const declarations: Uint8Array[] = [];
    let declared = 0;
    let lastRef = 0;
    for (const ref of new Set(rows.map((row) => row.ref))) {
      // Saying it again is allowed; the values after it start from zero again.
      if (this.#lastValues.has(ref) && !this.#random.chance(0.05)) continue;
      const ids = this.#labelsOf(ref).map((label) => {
        const key = JSON.stringify(label);
        if (!this.#symbols.has(key) || this.#random.chance(0.02)) {
          // Each declaration takes a number, that of a symbol which was there too.
          this.#symbols.set(key, this.#symbolCount++);
          symbols.push(...label.flatMap((text) => [varint(BigInt(text.length)), Buffer.from(text, "latin1")]));
        }
        return varint(BigInt(this.#symbols.get(key)!));
      });
      declarations.push(varint(zigzag(BigInt(ref - lastRef))), varint(BigInt(ids.length)), ...ids);
      declared++;
      lastRef = ref;
      this.#lastValues.set(ref, 0n);
    }
    return Buffer.concat([
      varint(BigInt(symbols.length / 4)),
      ...symbols,
      varint(BigInt(declared)),
      ...declarations,
      varint(BigInt(rows.length), this.#random.below(3)),
      ...this.#samples(rows),
    ]);
  }

  #samples(rows: readonly WalRow[]): Uint8Array[] {
    let lastRef = -1;
    let lastTime = 0n;
    return rows.map(({ ref, timestampMs, value, isLate }) => {
      const parts: Uint8Array[] = [];
      let flag = 0;
      // What may be left out may also be written.
      if (ref !== lastRef + 1 || this.#random.chance(0.1)) {
        flag |= 1;
        parts.push(varint(zigzag(BigInt(ref - lastRef))));
      }
      if (timestampMs !== lastTime || this.#random.chance(0.1)) {
        flag |= 2;
        parts.push(varint(zigzag(timestampMs - lastTime)));
      }
      const xor = Buffer.alloc(8);
      xor.writeBigUInt64LE(isLate ? value : value ^ this.#lastValues.get(ref)!);
      const first = xor.findIndex((byte) => byte !== 0);
      const used = xor.subarray(Math.max(first, 0), xor.findLastIndex((byte) => byte !== 0) + 1);
      if (isLate) {
        flag |= (7 << 2) | (1 << 5);
        parts.push(xor);
      } else if (used.length > 6 || this.#random.chance(0.1)) {
        flag |= 7 << 2;
        parts.push(xor);
      } else {
        flag |= (used.length << 2) | (Math.max(first, 0) << 5);
        parts.push(used);
      }
      if (!isLate) this.#lastValues.set(ref, value);
      lastRef = ref;
      lastTime = timestampMs;
      return Buffer.concat([Uint8Array.of(flag), ...parts]);
    });
  }
}
