/**
 * Assertions: what only a bug can cause. A failed assertion stops the operation it is in; bad input and what the world
 * does (full disk, torn page) are never asserted but answered with a TsdbError (errors.ts).
 */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** @throws AssertionError when `condition` does not hold */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a place that the types say cannot be reached, such as the default of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
