/** Keyed hashing with the head's own random keys: nobody outside can make labels collide. */
import { header } from "./layout";
import { siphash128 } from "./siphash";

/** A quarter of SipHash-1-3-128, for tables of names and pairs; 16 bytes at `out` are the caller's own. */
export function hash32(address: usize, bytes: u32, out: usize): u32 {
  const h = header();
  siphash128(h.hashKey0, h.hashKey1, address, bytes, out);
  return load<u32>(out);
}
