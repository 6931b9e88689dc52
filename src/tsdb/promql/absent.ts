/**
 * A step at which a series has no value. It is written as the stale marker, which no operator ever yields as a value, so
 * columns need no bitmap beside them and any other NaN stays a number.
 *
 * The marker is a NaN payload, which arithmetic and plain number arrays lose: it is read and written as two
 * little-endian words, and columns are copied only array to array.
 */
export const ABSENT_LOW = 2;
export const ABSENT_HIGH = 0x7ff00000;

/** The words of a column: `words[2 * i]` and `words[2 * i + 1]` are the low and high half of value `i`. */
export const wordsOf = (values: Float64Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);

export const isAbsent = (words: Uint32Array, i: number): boolean =>
  words[2 * i + 1] === ABSENT_HIGH && words[2 * i] === ABSENT_LOW;

export function setAbsent(words: Uint32Array, i: number): void {
  words[2 * i] = ABSENT_LOW;
  words[2 * i + 1] = ABSENT_HIGH;
}

export function fillAbsent(values: Float64Array): void {
  const words = wordsOf(values);
  for (let i = 0; i < values.length; i++) setAbsent(words, i);
}

/** How many values a column has. */
export function countPresent(values: Float64Array): number {
  const words = wordsOf(values);
  let count = 0;
  for (let i = 0; i < values.length; i++) if (!isAbsent(words, i)) count++;
  return count;
}
