/**
 * XOR bases apart from their series: for the few samples that are encoded again after a failed fsync, or replayed
 * without being appended. A hash table in a region that is touched only then; a slot counts only in the WAL segment it
 * was put in.
 *   slot: ref + 1 u32 | Header.walSegment u32 | value u64
 */
import { header, XOR_BASE_SLOTS } from "./layout";

/** A quarter of the slots stays empty, so that every search ends soon. */
const BASES_MAX: u32 = (XOR_BASE_SLOTS / 4) * 3;

function slotOf(ref: u32): usize {
  const h = header();
  const mask = XOR_BASE_SLOTS - 1;
  let at = (ref * 0x9e37_79b1) & mask;
  while (true) {
    const slot = usize(h.xorBases) + (usize(at) << 4);
    if (load<u32>(slot, 4) != h.walSegment || load<u32>(slot) == ref + 1) return slot;
    at = (at + 1) & mask;
  }
}

/** The base that was put for `ref` in this segment, 0 when there is none. */
export function getBase(ref: u32): u64 {
  const slot = slotOf(ref);
  return load<u32>(slot, 4) == header().walSegment ? load<u64>(slot, 8) : 0;
}

/** @returns false when there is no room for it */
export function putBase(ref: u32, value: u64): bool {
  const h = header();
  const slot = slotOf(ref);
  if (load<u32>(slot, 4) != h.walSegment) {
    if (h.xorBaseSegment != h.walSegment) {
      h.xorBaseSegment = h.walSegment;
      h.xorBaseCount = 0;
    }
    if (h.xorBaseCount == BASES_MAX) return false;
    h.xorBaseCount++;
  }
  store<u32>(slot, ref + 1);
  store<u32>(slot, h.walSegment, 4);
  store<u64>(slot, value, 8);
  return true;
}
