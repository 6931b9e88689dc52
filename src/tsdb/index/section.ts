/** A section of an index that has its length before it and its checksum behind it. */
import { loadU32 } from "../../base/byte-reader.ts";
import { SECTION_FRAME_BYTES } from "./format.ts";
import type { PagedFile } from "./page-cache.ts";

/**
 * Verifies a whole section. @returns the length of what stands between its length and its checksum
 * @throws CorruptBlockError
 */
export function sectionLength(file: PagedFile, offset: number, what: string): number {
  if (offset === 0 || offset + SECTION_FRAME_BYTES > file.sizeBytes) throw file.corrupt(offset, `${what} are missing`);
  const length = loadU32(file.readRaw(offset, 4), 0);
  if (offset + SECTION_FRAME_BYTES + length > file.sizeBytes) throw file.corrupt(offset, `${what} have no end`);
  const crc = loadU32(file.readRaw(offset + 4 + length, 4), 0);
  if (file.verifySection(offset + 4, length) !== crc) throw file.corrupt(offset, `checksum mismatch of ${what}`);
  return length;
}
