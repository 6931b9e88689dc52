/**
 * The number and the hash of a chunk's samples, for the sum that says whether a block has what it should have (manifest.ts).
 * Chunks of native histograms are not decoded: they are hashed as they are, which holds as long as they are only copied.
 */
import type { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_PACKED, CHUNK_RAW, CHUNK_XOR, CHUNK_XOR2 } from "../storage.ts";

const OPAQUE_MIX = 0xbf58_476d_1ce4_e5b9n;

export interface ChunkSum {
  readonly count: number;
  readonly hash: bigint;
  /** Of the first and the last sample, ms; 0 of chunks that are not decoded. */
  readonly mint: number;
  readonly maxt: number;
  /** What is wrong with the samples, though they could be decoded. */
  readonly fault: string | undefined;
}

/** Whether a chunk's samples are kept as they are and not looked into. */
export const isOpaque = (encoding: number): boolean =>
  encoding !== CHUNK_XOR && encoding !== CHUNK_XOR2 && encoding !== CHUNK_PACKED && encoding !== CHUNK_RAW;

/**
 * @param address of the chunk's data in `memory`, where room is reserved for its samples
 * @param seed of the series (series-seed.ts)
 * @returns undefined when the chunk cannot be decoded
 */
export function chunkSum(
  memory: PrivateMemory,
  encoding: number,
  address: number,
  bytes: number,
  seed: bigint,
): ChunkSum | undefined {
  const { kernel } = memory;
  if (isOpaque(encoding)) {
    if (bytes < 2) return undefined;
    // All encodings of Prometheus begin with the number of samples.
    const count = memory.bytes[address]! * 256 + memory.bytes[address + 1]!;
    const crc = BigInt(kernel.crc32c(address, bytes, encoding) >>> 0);
    return { count, hash: BigInt.asUintN(64, (seed ^ crc) * OPAQUE_MIX), mint: 0, maxt: 0, fault: undefined };
  }
  const countMax = kernel.chunkSampleCount(encoding, address, bytes);
  if (countMax === 0) return undefined;
  const times = memory.reserve(8 * countMax);
  const values = memory.reserve(8 * countMax);
  const count = kernel.decodeChunk(encoding, address, bytes, times, values, countMax);
  if (count <= 0) return undefined;
  const column = memory.column(times, count);
  let fault: string | undefined;
  for (let i = 1; i < count; i++) if (column[i]! <= column[i - 1]!) fault = "samples out of order";
  const hash = BigInt.asUintN(64, kernel.hashSamples(times, values, count, seed));
  return { count, hash, mint: column[0]!, maxt: column[count - 1]!, fault };
}
