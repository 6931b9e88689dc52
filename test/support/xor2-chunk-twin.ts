/**
 * Prometheus' XOR2 chunks by the book (the head of tsdb/chunkenc/xor2.go), read bit by bit and with BigInts. Start times are
 * read and forgotten.
 */
import { type Sample, STALE_BITS } from "./columns.ts";

const signed = (value: bigint, bits = 64): bigint => BigInt.asIntN(bits, value);

/** Bits of a start time, by the ones that announce it. */
const START_BITS = [0, 3, 6, 9, 12, 18, 25, 56, 64] as const;

/** @throws Error when the chunk ends too soon or contradicts itself */
export function decodeXor2Chunk(chunk: Uint8Array): Sample[] {
  let at = 0;
  const take = (width: number): bigint => {
    let value = 0n;
    for (let i = 0; i < width; i++, at++) {
      const byte = chunk[at >> 3];
      if (byte === undefined) throw new Error("the chunk ends too soon");
      value = (value << 1n) | BigInt((byte >> (7 - (at & 7))) & 1);
    }
    return value;
  };
  const takeVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = take(8);
      value |= (byte & 127n) << shift;
      if (byte < 128n && value >= 2n ** 64n) throw new Error("a varint of more than 64 bits");
      if (byte < 128n) return value;
    }
    throw new Error("a varint of more than ten bytes");
  };
  /** How many of `max` ones stand before the first zero; the zero is taken too. */
  const takeOnes = (max: number): number => {
    for (let ones = 0; ones < max; ones++) if (take(1) === 0n) return ones;
    return max;
  };

  let baseline = 0n;
  let window = { leading: 0, trailing: 0 };
  const takeXor = (): bigint => (baseline ^= take(64 - window.leading - window.trailing) << BigInt(window.trailing));
  const takeWindow = (): bigint => {
    const leading = Number(take(5));
    const significant = Number(take(6)) || 64;
    if (leading + significant > 64) throw new Error("a window of more than 64 bits");
    window = { leading, trailing: 64 - leading - significant };
    return takeXor();
  };
  const takeValue = (): bigint => [() => baseline, takeXor, takeWindow, () => STALE_BITS][takeOnes(3)]!();

  const count = Number(take(16));
  const [firstStartIsKnown, firstStart] = [take(1) === 1n, Number(take(7))];
  const samples: Sample[] = [];
  let time = 0n;
  let delta = 0n;
  for (let i = 0; i < count; i++) {
    let value: bigint;
    if (i === 0) {
      const zigzag = takeVarint();
      time = (zigzag & 1n) === 0n ? zigzag >> 1n : -((zigzag + 1n) >> 1n);
      value = take(64);
      if (value !== STALE_BITS) baseline = value;
      if (firstStartIsKnown) takeVarint();
    } else {
      const ones = i === 1 ? undefined : takeOnes(5);
      if (i === 1) delta = signed(takeVarint());
      else if (ones === 2) delta += signed(take(13), 13);
      else if (ones === 3) delta += signed(take(20), 20);
      else if (ones === 4) delta += signed(take(64));
      time = signed(time + delta);
      if (ones === 0) value = baseline;
      else if (ones === 1) value = take(1) === 0n ? takeXor() : takeWindow();
      else value = ones === 5 ? STALE_BITS : takeValue();
      if (firstStart > 0 && i >= firstStart) take(START_BITS[takeOnes(8)]!);
    }
    samples.push({ timeMs: Number(time), value });
  }
  return samples;
}
