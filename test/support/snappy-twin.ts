/**
 * Snappy's block format by the book (google/snappy, format_description.txt), one byte at a time: what the kernel's decoder
 * must agree with on good input and on bad.
 */

/** @throws Error when a correct encoder cannot have written it */
export function decodeSnappy(input: Uint8Array, bytesMax: number): Uint8Array {
  let at = 0;
  const next = (): number => {
    if (at >= input.length) throw new Error("the input ends too soon");
    return input[at++]!;
  };
  /** Little-endian. */
  const number = (byteCount: number): number => {
    let value = 0;
    for (let i = 0; i < byteCount; i++) value += next() * 256 ** i;
    return value;
  };

  let length = 0;
  for (let i = 0; ; i++) {
    if (i === 5) throw new Error("the length takes more than five bytes");
    const byte = next();
    length += (byte & 127) * 128 ** i;
    if (byte < 128) break;
  }
  if (length >= 2 ** 32) throw new Error("the length takes more than 32 bits");
  if (length > bytesMax) throw new Error("too long");

  const output: number[] = [];
  const room = (byteCount: number): void => {
    if (output.length + byteCount > length) throw new Error("more bytes than the length says");
  };
  while (at < input.length) {
    const tag = next();
    if ((tag & 3) === 0) {
      const code = tag >> 2;
      const byteCount = (code < 60 ? code : number(code - 59)) + 1;
      room(byteCount);
      for (let i = 0; i < byteCount; i++) output.push(next());
      continue;
    }
    const isShort = (tag & 3) === 1;
    const byteCount = isShort ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const offset = isShort ? (tag >> 5) * 256 + next() : number((tag & 3) === 2 ? 2 : 4);
    if (offset === 0 || offset > output.length) throw new Error("a copy from before the beginning");
    room(byteCount);
    // One by one: a copy may read what it has just written.
    for (let i = 0; i < byteCount; i++) output.push(output[output.length - offset]!);
  }
  if (output.length !== length) throw new Error("fewer bytes than the length says");
  return Uint8Array.from(output);
}
