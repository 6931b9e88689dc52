/**
 * Prometheus' XOR chunks by the book (tsdb/docs/format/chunks.md, tsdb/chunkenc/xor.go), over a string of bits and with
 * BigInts: what the kernel's encoder and decoder must agree with bit for bit.
 */
import { BitReader } from "./bit-reader.ts";

export interface XorSample {
  readonly timestampMs: bigint;
  /** The bits of the value. */
  readonly value: bigint;
}

/** Of a delta of deltas: how many bits it takes, and what announces them. */
const WIDTHS = [
  { bits: 14, prefix: "10" },
  { bits: 17, prefix: "110" },
  { bits: 20, prefix: "1110" },
  { bits: 64, prefix: "1111" },
] as const;

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);
const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);

export function encodeXorChunk(samples: readonly XorSample[]): Uint8Array {
  let bits = "";
  const put = (value: bigint, width: number): void => {
    if (width > 0) bits += BigInt.asUintN(width, value).toString(2).padStart(width, "0");
  };
  const putVarint = (value: bigint): void => {
    let rest = value;
    for (; rest >= 128n; rest >>= 7n) put((rest & 127n) | 128n, 8);
    put(rest, 8);
  };
  let window: { leading: number; trailing: number } | undefined;
  const putValue = (xor: bigint): void => {
    if (xor === 0n) return put(0n, 1);
    const text = xor.toString(2).padStart(64, "0");
    const leading = Math.min(text.indexOf("1"), 31);
    const trailing = 63 - text.lastIndexOf("1");
    if (window !== undefined && leading >= window.leading && trailing >= window.trailing) {
      put(0b10n, 2);
    } else {
      window = { leading, trailing };
      put(0b11n, 2);
      put(BigInt(leading), 5);
      put(BigInt((64 - leading - trailing) % 64), 6);
    }
    put(xor >> BigInt(window.trailing), 64 - window.leading - window.trailing);
  };

  put(BigInt(samples.length), 16);
  let delta = 0n;
  for (const [i, { timestampMs, value }] of samples.entries()) {
    const before = samples[i - 1];
    if (before === undefined) {
      putVarint(unsigned(timestampMs >= 0n ? timestampMs * 2n : -timestampMs * 2n - 1n));
      put(value, 64);
      continue;
    }
    const newDelta = signed(timestampMs - before.timestampMs);
    const change = signed(newDelta - delta);
    delta = newDelta;
    if (i === 1) putVarint(unsigned(delta));
    else if (change === 0n) put(0n, 1);
    else {
      const half = (width: number): bigint => 1n << BigInt(width - 1);
      const width = WIDTHS.find((w) => change >= 1n - half(w.bits) && change <= half(w.bits)) ?? WIDTHS[3];
      bits += width.prefix;
      put(change, width.bits);
    }
    putValue(value ^ before.value);
  }
  const bytes = bits.match(/.{1,8}/g) ?? [];
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte.padEnd(8, "0"), 2));
}

/** @throws Error when the chunk ends too soon or contradicts itself */
export function decodeXorChunk(chunk: Uint8Array): XorSample[] {
  const reader = new BitReader(chunk);
  const count = Number(reader.take(16));
  const samples: XorSample[] = [];
  let timestampMs = 0n;
  let delta = 0n;
  let value = 0n;
  // Before the first window Prometheus has one of all 64 bits.
  let window = { leading: 0, trailing: 0 };
  for (let i = 0; i < count; i++) {
    if (i === 0) {
      timestampMs = reader.varint();
      value = reader.take(64);
    } else {
      if (i === 1) delta = signed(reader.uvarint());
      else {
        const ones = reader.ones(4);
        if (ones > 0) {
          const width = WIDTHS[ones - 1]!.bits;
          const raw = reader.take(width);
          // The range leans to the positive side: only above half of it a number is negative.
          const change = raw > 1n << BigInt(width - 1) || width === 64 ? BigInt.asIntN(width, raw) : raw;
          delta = signed(delta + change);
        }
      }
      timestampMs = signed(timestampMs + delta);
      const ones = reader.ones(2);
      if (ones === 2) window = reader.window();
      if (ones > 0) value ^= reader.take(64 - window.leading - window.trailing) << BigInt(window.trailing);
    }
    samples.push({ timestampMs, value });
  }
  return samples;
}
