/** CRC32C (Castagnoli), eight bytes a step: for framing outside the kernel, which has its own. */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256, one behind the other. */
const tables = makeTables();

function makeTables(): Uint32Array {
  const made = new Uint32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? POLYNOMIAL : 0);
    made[i] = crc;
  }
  for (let i = 256; i < made.length; i++) {
    const before = made[i - 256]!;
    made[i] = (before >>> 8) ^ made[before & 255]!;
  }
  return made;
}

/** @param seed the CRC so far; 0 to start. @returns an unsigned 32-bit number */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const t = tables;
  let crc = ~seed;
  let i = 0;
  for (const whole = bytes.length - 7; i < whole; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      t[1792 + (crc & 255)]! ^
      t[1536 + ((crc >>> 8) & 255)]! ^
      t[1280 + ((crc >>> 16) & 255)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + bytes[i + 4]!]! ^
      t[512 + bytes[i + 5]!]! ^
      t[256 + bytes[i + 6]!]! ^
      t[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
