/** Samples as the kernel's codecs take them, and arbitrary ones: of every kind that a series is known to have. */
import fc from "fast-check";
import type { CodecKernel } from "./codec-kernel.ts";

/** The bits of a value count, so it is a word. */
export interface Sample {
  readonly timeMs: number;
  readonly value: bigint;
}

export const bitsOf = (value: number): bigint => new BigUint64Array(Float64Array.of(value).buffer)[0]!;
export const numberOf = (bits: bigint): number => new Float64Array(BigUint64Array.of(bits).buffer)[0]!;

export const STALE_BITS = 0x7ff0_0000_0000_0002n;

export function putColumns<Name extends string>(
  codec: CodecKernel<Name>,
  [times, values]: readonly [Name, Name],
  samples: readonly Sample[],
): readonly [times: number, values: number, count: number] {
  const timesAt = codec.put(times, new Uint8Array(Float64Array.from(samples, ({ timeMs }) => timeMs).buffer));
  const valuesAt = codec.put(values, new Uint8Array(BigUint64Array.from(samples, ({ value }) => value).buffer));
  return [timesAt, valuesAt, samples.length];
}

export function takeColumns<Name extends string>(
  codec: CodecKernel<Name>,
  [times, values]: readonly [Name, Name],
  count: number,
): Sample[] {
  const timeColumn = new Float64Array(codec.take(times, count * 8).buffer);
  const valueColumn = new BigUint64Array(codec.take(values, count * 8).buffer);
  return Array.from(timeColumn, (timeMs, i) => ({ timeMs, value: valueColumn[i]! }));
}

/** Values whose bits are easily lost. */
export const specialBits = fc.constantFrom(
  0n,
  1n << 63n,
  STALE_BITS,
  0x7ff8_0000_0000_0000n,
  0xfff8_0000_0000_0001n,
  0x7ff8_0000_0bad_cafen,
  bitsOf(Infinity),
  bitsOf(-Infinity),
  1n,
  bitsOf(Number.MAX_VALUE),
);
