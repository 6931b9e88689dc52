/**
 * Prometheus' XOR2 chunks by the book (the head of tsdb/chunkenc/xor2.go), read bit by bit and with BigInts. Start times are
 * read and forgotten.
 */
import { BitReader } from "./bit-reader.ts";
import { type Sample, STALE_BITS } from "./columns.ts";

const signed = (value: bigint, bits = 64): bigint => BigInt.asIntN(bits, value);

/** Bits of a start time, by the ones that announce it. */
const START_BITS = [0, 3, 6, 9, 12, 18, 25, 56, 64] as const;

/** @throws Error when the chunk ends too soon or contradicts itself */
export function decodeXor2Chunk(chunk: Uint8Array): Sample[] {
  const reader = new BitReader(chunk);
  let baseline = 0n;
  let window = { leading: 0, trailing: 0 };
  const takeXor = (): bigint =>
    (baseline ^= reader.take(64 - window.leading - window.trailing) << BigInt(window.trailing));
  const takeWindow = (): bigint => {
    window = reader.window();
    return takeXor();
  };
  const takeValue = (): bigint => [() => baseline, takeXor, takeWindow, () => STALE_BITS][reader.ones(3)]!();

  const count = Number(reader.take(16));
  const [firstStartIsKnown, firstStart] = [reader.take(1) === 1n, Number(reader.take(7))];
  const samples: Sample[] = [];
  let time = 0n;
  let delta = 0n;
  for (let i = 0; i < count; i++) {
    let value: bigint;
    if (i === 0) {
      time = reader.varint();
      value = reader.take(64);
      if (value !== STALE_BITS) baseline = value;
      if (firstStartIsKnown) reader.uvarint();
    } else {
      const ones = i === 1 ? undefined : reader.ones(5);
      if (i === 1) delta = signed(reader.uvarint());
      else if (ones === 2) delta += signed(reader.take(13), 13);
      else if (ones === 3) delta += signed(reader.take(20), 20);
      else if (ones === 4) delta += signed(reader.take(64));
      time = signed(time + delta);
      if (ones === 0) value = baseline;
      else if (ones === 1) value = reader.take(1) === 0n ? takeXor() : takeWindow();
      else value = ones === 5 ? STALE_BITS : takeValue();
      if (firstStart > 0 && i >= firstStart) reader.take(START_BITS[reader.ones(8)]!);
    }
    samples.push({ timeMs: Number(time), value });
  }
  return samples;
}
