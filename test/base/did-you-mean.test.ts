import fc from "fast-check";
import { expect, test } from "vitest";
import { didYouMean, typingSlips } from "../../src/base/did-you-mean.ts";

const names = ["retention", "data_dir", "memtable_size"];

test("a slip of a few letters finds the word that was meant", () => {
  for (const [typed, meant] of [
    ["retenton", "retention"],
    ["retnetion", "retention"],
    ["data-dir", "data_dir"],
    ["dataDir", "data_dir"],
    ["memtablesize", "memtable_size"],
  ] as const)
    expect(didYouMean(typed, names)).toBe(meant);
});

test("a word that is near nothing gets no guess", () => {
  for (const typed of ["", "x", "compaction", "size"]) expect(didYouMean(typed, names)).toBeUndefined();
});

test("the distance of two words is none for the same, symmetric, and at most the longer one's length", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      expect(typingSlips(a, a)).toBe(0);
      expect(typingSlips(a, b)).toBe(typingSlips(b, a));
      expect(typingSlips(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});
