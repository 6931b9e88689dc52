/** Keyed hashing with the head's own random keys: nobody outside can make labels collide. */
import { header } from "./layout";
import { siphash128 } from "./siphash";

/** Half of SipHash-1-3-128, for tables of names and pairs. */
export function siphash64(address: usize, bytes: u32): u64 {
  const h = header();
  const out = usize(h.scratch);
  siphash128(h.hashKey0, h.hashKey1, address, bytes, out);
  return load<u64>(out);
}
