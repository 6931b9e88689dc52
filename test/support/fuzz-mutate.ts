/** Changes to inputs that find what parsers forget: cut, doubled, swapped, nested, and lengths that lie. */
import type { Random } from "./random.ts";

export interface Mutable {
  readonly corpus: readonly Uint8Array[];
  readonly dictionary?: readonly Uint8Array[];
  readonly inputBytesMax?: number;
}

type Mutation = (input: Uint8Array, random: Random, from: Mutable) => Uint8Array;

export function mutate(from: Mutable, random: Random): Uint8Array {
  let input = random.pick(from.corpus);
  const changes = 1 + Math.floor(-3 * Math.log(1 - random.next()));
  // Cut after each change: what is repeated two thousand times must not be repeated so often again.
  for (let i = 0; i < changes; i++)
    input = random
      .pick(mutations)(input, random, from)
      .subarray(0, from.inputBytesMax ?? 65_536);
  return input;
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

function range(input: Uint8Array, random: Random): readonly [from: number, to: number] {
  const from = random.below(input.length + 1);
  // Short ranges mostly: long ones leave little of what was good.
  const length = random.chance(0.8) ? random.below(16) : random.below(input.length + 1);
  return [from, Math.min(input.length, from + length)];
}

const replace = (input: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array =>
  join(input.subarray(0, from), by, input.subarray(to));

const varint = (value: bigint): Uint8Array => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
};

/** Numbers around which lengths, offsets and times break. */
const edges = [
  0n,
  1n,
  127n,
  128n,
  255n,
  256n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
].concat([2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]);

const mutations: readonly Mutation[] = [
  function flipBit(input, random) {
    const output = Uint8Array.from(input);
    if (output.length > 0) output[random.below(output.length)]! ^= 1 << random.below(8);
    return output;
  },
  function setByte(input, random) {
    const output = Uint8Array.from(input);
    if (output.length > 0)
      output[random.below(output.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
    return output;
  },
  function remove(input, random) {
    return replace(input, ...range(input, random), new Uint8Array(0));
  },
  function truncate(input, random) {
    return input.subarray(0, random.below(input.length + 1));
  },
  function insertNoise(input, random) {
    const at = random.below(input.length + 1);
    return replace(input, at, at, random.bytes(1 + random.below(8)));
  },
  function repeat(input, random) {
    const [from, to] = range(input, random);
    const times = random.chance(0.9) ? 2 : 2 + random.below(2000);
    return replace(input, from, to, join(...Array.from({ length: times }, () => input.subarray(from, to))));
  },
  function moveRange(input, random) {
    const [from, to] = range(input, random);
    const at = random.below(input.length + 1);
    return replace(input, at, at, input.subarray(from, to));
  },
  function spliceOther(input, random, { corpus }) {
    const other = random.pick(corpus);
    return join(input.subarray(0, random.below(input.length + 1)), other.subarray(random.below(other.length + 1)));
  },
  function putVarint(input, random) {
    const at = random.below(input.length + 1);
    return replace(input, at, Math.min(input.length, at + random.below(3)), varint(random.pick(edges)));
  },
  function putNumber(input, random) {
    const output = Buffer.from(input);
    const value = random.pick(edges);
    if (output.length < 8) return output;
    const at = random.below(output.length - 7);
    if (random.chance(0.5)) output.writeUInt32LE(Number(value & 0xffff_ffffn), at);
    else output.writeBigUInt64BE(value & (2n ** 64n - 1n), at);
    return output;
  },
  function putDigits(input, random) {
    return replace(input, ...range(input, random), Buffer.from(random.pick(edges).toString()));
  },
  function putWord(input, random, { dictionary = [] }) {
    if (dictionary.length === 0) return input;
    const at = random.below(input.length + 1);
    return replace(input, at, at, random.pick(dictionary));
  },
  function nest(input, random, { dictionary = [] }) {
    const open = dictionary.length > 0 ? random.pick(dictionary) : input.subarray(0, 2);
    const at = random.below(input.length + 1);
    const depth = random.chance(0.8) ? 8 : 4000;
    return replace(input, at, at, join(...Array.from({ length: depth }, () => open)));
  },
];
