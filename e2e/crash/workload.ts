/**
 * What the crash tests write: 10,000 series in 100 shards, values that describe themselves. A value is a pure function of
 * seed, series and time, so whoever reads it back can tell a wrong sample from a missing one without having kept it. One
 * request carries one shard: each of its series, at one or more times.
 */
import { Buffer } from "node:buffer";

export const SHARDS = 100;
export const SERIES_PER_SHARD = 100;
export const METRIC = "crash_test_value";

/** A 32-bit finaliser (murmur3): every bit of the input reaches every bit of the output. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

const words = new Uint32Array(2);
const double = new Float64Array(words.buffer);
/** What a value is now and then instead of a random number. */
const SPECIAL_VALUES = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, 5e-324, Number.MAX_VALUE];
const SPECIAL_EVERY = 64;

/** The value of series `series` (counted over all shards) at `timeMs`: 52 random bits, so that the log grows as fast as it can. */
export function valueAt(seed: number, series: number, timeMs: number): number {
  let hash = mix(seed ^ Math.imul(series + 1, 0x9e3779b1));
  hash = mix(hash ^ (timeMs >>> 0));
  hash = mix(hash ^ Math.floor(timeMs / 2 ** 32));
  if ((hash >>> 0) % SPECIAL_EVERY === 0)
    return SPECIAL_VALUES[(((hash >>> 0) / SPECIAL_EVERY) % SPECIAL_VALUES.length) | 0]!;
  const high = mix(hash ^ 0x5bd1e995);
  words[0] = mix(hash + 0x1b873593);
  // A number between 2^-20 and 2^20, either sign.
  words[1] = (high & 0x800fffff) | ((1003 + ((hash >>> 8) % 41)) << 20);
  return double[0]!;
}

/** The body of a write request: snappy, of literals only, which any reader takes and which costs nothing to make. */
export function writeBody(
  seed: number,
  { shard, timesMs }: { readonly shard: number; readonly timesMs: readonly number[] },
): Buffer {
  const sampleBytes = 1 + 1 + 9 + 1 + varintBytes(timesMs[0]!);
  const message = Buffer.allocUnsafe(SERIES_PER_SHARD * (320 + timesMs.length * (sampleBytes + 1)));
  let at = 0;
  for (let i = 0; i < SERIES_PER_SHARD; i++) {
    const labels = labelBytes(shard, i);
    const bodyStart = at + 5;
    let end = bodyStart;
    end += labels.copy(message, end);
    for (const timeMs of timesMs) {
      message[end] = 0x12;
      message[end + 1] = 10 + varintBytes(timeMs);
      message[end + 2] = 0x09;
      message.writeDoubleLE(valueAt(seed, shard * SERIES_PER_SHARD + i, timeMs), end + 3);
      message[end + 11] = 0x10;
      end = putVarint(message, end + 12, timeMs);
    }
    // The length is written with padding, so that it takes 4 bytes whatever it is.
    message[at] = 0x0a;
    const length = end - bodyStart;
    message[at + 1] = (length & 127) | 128;
    message[at + 2] = ((length >> 7) & 127) | 128;
    message[at + 3] = ((length >> 14) & 127) | 128;
    message[at + 4] = length >> 21;
    at = end;
  }
  return snappyOfLiterals(message.subarray(0, at));
}

const labelsOfSeries = new Map<number, Buffer>();

/** The labels of a series as fields of a TimeSeries message. */
function labelBytes(shard: number, i: number): Buffer {
  const series = shard * SERIES_PER_SHARD + i;
  let bytes = labelsOfSeries.get(series);
  if (!bytes) {
    const labels = [
      ["__name__", METRIC],
      ["host", `host-${i % 10}.example.org`],
      ["i", String(i)],
      ["job", "crash"],
      ["shard", String(shard)],
    ] as const;
    bytes = Buffer.concat(
      labels.map(([name, value]) => {
        const pair = Buffer.concat([field(0x0a, Buffer.from(name)), field(0x12, Buffer.from(value))]);
        return field(0x0a, pair);
      }),
    );
    labelsOfSeries.set(series, bytes);
  }
  return bytes;
}

const field = (tag: number, bytes: Buffer): Buffer => Buffer.concat([Uint8Array.of(tag, bytes.length), bytes]);

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function putVarint(into: Buffer, at: number, value: number): number {
  let [end, rest] = [at, value];
  for (; rest > 127; rest = Math.floor(rest / 128)) into[end++] = (rest % 128) | 128;
  into[end++] = rest;
  return end;
}

const LITERAL_BYTES_MAX = 65_536;

function snappyOfLiterals(message: Buffer): Buffer {
  const parts: Buffer[] = [];
  const length = Buffer.alloc(10);
  parts.push(length.subarray(0, putVarint(length, 0, message.length)));
  for (let at = 0; at < message.length; at += LITERAL_BYTES_MAX) {
    const literal = message.subarray(at, at + LITERAL_BYTES_MAX);
    const tag = Buffer.of(61 << 2, (literal.length - 1) & 255, (literal.length - 1) >> 8);
    parts.push(tag, literal);
  }
  return Buffer.concat(parts);
}
