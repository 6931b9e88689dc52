/**
 * SipHash with 128-bit output (Aumasson, Bernstein: "SipHash: a fast short-input PRF", and the reference code's 128-bit
 * variant), for any number of rounds: the published vectors are for 2 and 4, the kernel runs 1 and 3.
 */
const mask = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint => mask((value << bits) | (value >> (64n - bits)));

export interface SipRounds {
  readonly perWord: number;
  readonly atEnd: number;
}

export function siphash128(key: readonly [bigint, bigint], message: Uint8Array, rounds: SipRounds): [bigint, bigint] {
  let v0 = key[0] ^ 0x736f6d6570736575n;
  let v1 = key[1] ^ 0x646f72616e646f6dn ^ 0xeen;
  let v2 = key[0] ^ 0x6c7967656e657261n;
  let v3 = key[1] ^ 0x7465646279746573n;
  const mix = (count: number): void => {
    for (let i = 0; i < count; i++) {
      v0 = mask(v0 + v1);
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = mask(v2 + v3);
      v3 = rotate(v3, 16n) ^ v2;
      v0 = mask(v0 + v3);
      v3 = rotate(v3, 21n) ^ v0;
      v2 = mask(v2 + v1);
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const result = (): bigint => v0 ^ v1 ^ v2 ^ v3;

  // Whole words, the last one filled up with zeros and, at its top, the length.
  const padded = new Uint8Array((Math.floor(message.length / 8) + 1) * 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 255;
  const words = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = words.getBigUint64(at, true);
    v3 ^= word;
    mix(rounds.perWord);
    v0 ^= word;
  }
  v2 ^= 0xeen;
  mix(rounds.atEnd);
  const low = result();
  v1 ^= 0xddn;
  mix(rounds.atEnd);
  return [low, result()];
}
