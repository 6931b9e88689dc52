/** Chunks of any encoding: how many samples there are, and the samples. Encodings are numbered as in storage.ts. */
import { packedDecode, packedSampleCount } from "./packed";
import { rawDecode, rawSampleCount } from "./raw";
import { xorDecode, xorSampleCount } from "./xor";
import { xor2Decode, xor2SampleCount } from "./xor2";

const XOR: u32 = 1;
const XOR2: u32 = 4;
const PACKED: u32 = 0x81;
const RAW: u32 = 0xff;

const UNKNOWN: i32 = -2;

/** How many samples a chunk says it holds; 0 when its bytes cannot hold that many, or the encoding is unknown. */
export function chunkSampleCount(encoding: u32, chunk: usize, chunkBytes: u32): u32 {
  if (encoding == XOR) return xorSampleCount(chunk, chunkBytes);
  if (encoding == PACKED) return packedSampleCount(chunk, chunkBytes);
  if (encoding == XOR2) return xor2SampleCount(chunk, chunkBytes);
  if (encoding == RAW) return rawSampleCount(chunk, chunkBytes);
  return 0;
}

/**
 * Decodes a chunk into two columns: times in ms as f64, values bit for bit.
 * @param chunk readable up to 16 bytes past its end
 * @returns the number of samples, or -1 when the chunk is malformed or has more than countMax, -2 when the encoding is
 * not known here
 */
export function decodeChunk(
  encoding: u32,
  chunk: usize,
  chunkBytes: u32,
  times: usize,
  values: usize,
  countMax: u32,
): i32 {
  if (encoding == XOR) return xorDecode(chunk, chunkBytes, times, values, countMax);
  if (encoding == PACKED) return packedDecode(chunk, chunkBytes, times, values, countMax);
  if (encoding == XOR2) return xor2Decode(chunk, chunkBytes, times, values, countMax);
  if (encoding == RAW) return rawDecode(chunk, chunkBytes, times, values, countMax);
  return UNKNOWN;
}
