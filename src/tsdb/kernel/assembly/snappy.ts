/**
 * Snappy block format: uvarint decoded length, then literals and copies (google/snappy, format_description.txt).
 * Strict: whatever a correct encoder cannot have written is refused, and nothing is written before the declared length
 * was checked.
 */

export const SNAPPY_MALFORMED: i32 = -1;
/** The declared length is more than the caller takes. */
export const SNAPPY_TOO_LARGE: i32 = -2;

/** The length that the input declares, or -1 when it has none. */
export function snappyDecodedLength(source: usize, sourceBytes: u32): f64 {
  let length: u64 = 0;
  for (let i: u32 = 0; i < 5 && i < sourceBytes; i++) {
    const byte = u64(load<u8>(source + i));
    length |= (byte & 127) << (i * 7);
    if (byte < 128) return length <= 0xffff_ffff ? f64(length) : -1;
  }
  return -1;
}

/**
 * @param source readable up to 16 bytes past its end
 * @param target writable up to 64 bytes past targetBytesMax; must not overlap the source
 * @returns the decoded length, SNAPPY_MALFORMED or SNAPPY_TOO_LARGE
 */
export function snappyDecode(source: usize, sourceBytes: u32, target: usize, targetBytesMax: u32): i32 {
  const declared = snappyDecodedLength(source, sourceBytes);
  if (declared < 0) return SNAPPY_MALFORMED;
  if (declared > f64(targetBytesMax) || declared > 2147483647) return SNAPPY_TOO_LARGE;
  const length = u32(declared);
  let at = source;
  while (load<u8>(at++) > 127) {}
  const end = source + sourceBytes;
  let to = target;
  const targetEnd = target + length;
  while (at < end) {
    const tag = u32(load<u8>(at++));
    let bytes: u32;
    if ((tag & 3) == 0) {
      bytes = tag >> 2;
      if (bytes >= 60) {
        const lengthBytes = bytes - 59;
        if (end - at < usize(lengthBytes)) return SNAPPY_MALFORMED;
        bytes = load<u32>(at) & (0xffff_ffff >> (32 - (lengthBytes << 3)));
        at += lengthBytes;
        if (bytes == 0xffff_ffff) return SNAPPY_MALFORMED;
      }
      bytes++;
      if (usize(bytes) > end - at || usize(bytes) > targetEnd - to) return SNAPPY_MALFORMED;
      if (bytes <= 16) v128.store(to, v128.load(at));
      else if (bytes <= 64) {
        v128.store(to, v128.load(at));
        v128.store(to + 16, v128.load(at + 16));
        if (bytes > 32) {
          v128.store(to + 32, v128.load(at + 32));
          v128.store(to + 48, v128.load(at + 48));
        }
      } else memory.copy(to, at, bytes);
      at += bytes;
      to += bytes;
      continue;
    }
    let offset: u32;
    if ((tag & 3) == 1) {
      if (at == end) return SNAPPY_MALFORMED;
      bytes = ((tag >> 2) & 7) + 4;
      offset = ((tag >> 5) << 8) | u32(load<u8>(at));
      at += 1;
    } else if ((tag & 3) == 2) {
      if (end - at < 2) return SNAPPY_MALFORMED;
      bytes = (tag >> 2) + 1;
      offset = u32(load<u16>(at));
      at += 2;
    } else {
      if (end - at < 4) return SNAPPY_MALFORMED;
      bytes = (tag >> 2) + 1;
      offset = load<u32>(at);
      at += 4;
    }
    if (offset == 0 || usize(offset) > to - target || usize(bytes) > targetEnd - to) return SNAPPY_MALFORMED;
    const from = to - offset;
    if (offset >= 16) {
      // At most 64 bytes in all, and each step reads only what is already written.
      v128.store(to, v128.load(from));
      for (let done: u32 = 16; done < bytes; done += 16) v128.store(to + done, v128.load(from + done));
    } else if (offset >= 8) {
      for (let done: u32 = 0; done < bytes; done += 8) store<u64>(to + done, load<u64>(from + done));
    } else {
      for (let done: u32 = 0; done < bytes; done++) store<u8>(to + done, load<u8>(from + done));
    }
    to += bytes;
  }
  return to == targetEnd ? i32(length) : SNAPPY_MALFORMED;
}
