/**
 * Raw chunks: samples that were merged or masked on their way to a query; never on disk.
 *   count u32 | 4 B unused | times f64[count], ms | values f64[count]
 * Multiples of eight bytes, so that columns which begin at one stay aligned.
 */
export const RAW_HEADER_BYTES: u32 = 8;
export const RAW_SAMPLE_BYTES: u32 = 16;

/** @param out room for 8 + 16 * count bytes @returns the length of the chunk there */
export function rawEncode(times: usize, values: usize, count: u32, out: usize): u32 {
  const columnBytes = usize(count) << 3;
  memory.copy(out + RAW_HEADER_BYTES, times, columnBytes);
  memory.copy(out + RAW_HEADER_BYTES + columnBytes, values, columnBytes);
  store<u64>(out, u64(count));
  return RAW_HEADER_BYTES + RAW_SAMPLE_BYTES * count;
}

/** How many samples the chunk says it holds, 0 when it is not as long as that. */
export function rawSampleCount(chunk: usize, chunkBytes: u32): u32 {
  if (chunkBytes < RAW_HEADER_BYTES) return 0;
  const count = load<u32>(chunk);
  return u64(count) * RAW_SAMPLE_BYTES + RAW_HEADER_BYTES == u64(chunkBytes) ? count : 0;
}

/** @returns the number of samples, or -1 when the chunk is malformed or has more than countMax */
export function rawDecode(chunk: usize, chunkBytes: u32, times: usize, values: usize, countMax: u32): i32 {
  const count = rawSampleCount(chunk, chunkBytes);
  if (count > countMax || (count == 0 && (chunkBytes != RAW_HEADER_BYTES || load<u32>(chunk) != 0))) return -1;
  const columnBytes = usize(count) << 3;
  memory.copy(times, chunk + RAW_HEADER_BYTES, columnBytes);
  memory.copy(values, chunk + RAW_HEADER_BYTES + columnBytes, columnBytes);
  return i32(count);
}
