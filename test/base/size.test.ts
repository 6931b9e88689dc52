import fc from "fast-check";
import { expect, test } from "vitest";
import { formatSizeBytes, parseSizeBytes } from "../../src/base/size.ts";

test("a size is bytes, or a number with a unit of powers of 1024, however the unit is written", () => {
  for (const text of ["268435456", "256MB", "256MiB", "256M", "256mb", "256 MB", "0.25GB", "262144KiB"])
    expect([text, parseSizeBytes(text)]).toEqual([text, 268_435_456]);
  expect(parseSizeBytes("0")).toBe(0);
  expect(parseSizeBytes("2TB")).toBe(2 ** 41);
});

test("what is no size, or no whole number of bytes, is refused", () => {
  for (const text of [
    "",
    "MB",
    "-1",
    "1e9",
    "1..5GB",
    "1.5",
    "0.3KB",
    "12XB",
    "1PB",
    "99999999999TB",
    "constructor",
    "1 constructor",
  ])
    expect([text, parseSizeBytes(text)]).toEqual([text, undefined]);
});

test("a printed size reads back as the same number", () => {
  const roundMultiple = fc.tuple(fc.nat(4096), fc.nat(4)).map(([n, power]) => n * 1024 ** power);
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), roundMultiple), (bytes) => parseSizeBytes(formatSizeBytes(bytes)) === bytes),
  );
  expect([1000, 1024, 3 * 2 ** 29, 0].map(formatSizeBytes)).toEqual(["1000", "1KiB", "1536MiB", "0"]);
});
