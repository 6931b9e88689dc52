/** A list of postings on disk: length u32, count u32, series ids u32 in ascending order, crc32c u32; big-endian. */
import { loadU32 } from "../../base/byte-reader.ts";
import { crc32c } from "../../base/crc32c.ts";
import type { PagedFile } from "./page-cache.ts";
import type { PagedCursor } from "./paged-cursor.ts";

/** @throws CorruptBlockError */
export function readPostings(file: PagedFile, cursor: PagedCursor, offset: number): Uint32Array {
  cursor.seek(offset, file.sizeBytes);
  const length = cursor.u32();
  if (length < 4 || length % 4 !== 0 || offset + 8 + length > file.sizeBytes)
    throw file.corrupt(offset, "postings of an impossible length");
  // Long ones would push everything else out of the cache.
  const content = length < 32 * 1024 ? cursor.bytes(length) : file.readRaw(offset + 4, length);
  cursor.seek(offset + 4 + length, file.sizeBytes);
  if (cursor.u32() !== crc32c(content)) throw file.corrupt(offset, "checksum mismatch of postings");
  const count = loadU32(content, 0);
  if (count !== length / 4 - 1) throw file.corrupt(offset, "postings whose count does not fit their length");
  const ids = new Uint32Array(count);
  for (let i = 0, before = -1; i < count; i++) {
    const id = loadU32(content, 4 + 4 * i);
    if (id <= before) throw file.corrupt(offset, "postings out of order");
    ids[i] = before = id;
  }
  return ids;
}
