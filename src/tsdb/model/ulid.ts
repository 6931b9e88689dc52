/**
 * ULIDs, the names of blocks: 48 bits of time in ms and 80 of chance, as 26 characters that sort as they were made
 * (https://github.com/ulid/spec). Within one ms, and when the clock goes back, the next is the one before plus one.
 */
import { assert } from "../../base/assert.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_BITS = 48n;
const CHANCE_BITS = 80n;
const CHARACTERS = 26;

/** @param random fills an array with random bytes */
export function ulidMaker(random: (into: Uint8Array) => void): (nowMs: number) => string {
  const chance = new Uint8Array(Number(CHANCE_BITS) / 8);
  let last = -1n;
  return (nowMs) => {
    const time = BigInt(Math.max(0, Math.floor(nowMs)));
    assert(time < 1n << TIME_BITS, "a time that no ULID can have");
    if (last >= 0n && time <= last >> CHANCE_BITS) last++;
    else {
      random(chance);
      last = chance.reduce((bits, byte) => (bits << 8n) | BigInt(byte), time);
    }
    let text = "";
    for (let rest = last, i = 0; i < CHARACTERS; i++, rest >>= 5n) text = ALPHABET[Number(rest & 31n)]! + text;
    return text;
  };
}

/** Whether it is one, in capitals as they are written. 26 characters have 130 bits: the first is 7 at most. */
export const isUlid = (text: string): boolean => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);

/** When it was made, in ms. */
export function ulidTimeMs(ulid: string): number {
  let time = 0;
  for (const character of ulid.slice(0, 10)) time = time * 32 + ALPHABET.indexOf(character);
  return time;
}
