import { expect, test } from "vitest";
import { compareQuantities, parseQuantity, quantityBytes } from "../../../src/operator/api/quantity.ts";

test("a quantity is the same number in every spelling", () => {
  for (const [a, b] of [
    ["1", "1000m"],
    ["1Gi", "1024Mi"],
    ["1.5Ti", "1536Gi"],
    ["1e3", "1k"],
    ["1E3", "1k"],
    ["8E", "8000P"],
    ["1Ei", "1024Pi"],
    ["+.5", "500m"],
  ] as const)
    expect(compareQuantities(a, b), `${a} and ${b}`).toBe(0);
  expect(compareQuantities("1Gi", "1G")).toBe(1);
});

test("what is too small to count is still more than nothing, and bytes are rounded up", () => {
  expect(parseQuantity("1e-99")).toBe(1n);
  expect(parseQuantity("0e-99")).toBe(0n);
  expect(quantityBytes("1n")).toBe(1n);
  expect(quantityBytes("1.5")).toBe(2n);
});

test("what is no quantity is none", () => {
  for (const text of ["", ".", "1K", "1 Gi", "1e5Gi", "-1", "Gi"]) expect(parseQuantity(text), text).toBeUndefined();
});
