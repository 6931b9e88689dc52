/** A decoder of the kernel against its twin: on damaged chunks too. */
import { expect } from "vitest";
import type { CodecKernel } from "./codec-kernel.ts";
import { type Sample, takeColumns } from "./columns.ts";

/**
 * Expects that any bytes are decoded as a twin decodes them, or are malformed for both.
 * @param decoded what the kernel answered, for at most `countMax` samples
 * @returns whether they are a chunk
 */
export function expectAsTheTwin(
  codec: CodecKernel<"times" | "values">,
  decoded: number,
  countMax: number,
  twin: () => readonly Sample[],
): boolean {
  codec.checkGuards();
  let expected: readonly Sample[] | undefined;
  try {
    expected = twin();
  } catch {
    expected = undefined;
  }
  if (expected === undefined || expected.length > countMax) {
    expect(decoded).toBe(-1);
    return false;
  }
  expect(decoded).toBe(expected.length);
  expect(takeColumns(codec, ["times", "values"], decoded)).toEqual(expected);
  return true;
}
