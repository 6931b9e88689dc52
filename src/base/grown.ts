/** @returns `larger`, a new array, with what is in `old` at its beginning */
export function grown<T extends Uint8Array | Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
