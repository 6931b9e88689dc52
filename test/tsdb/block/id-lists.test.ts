import fc from "fast-check";
import { expect, test } from "vitest";
import { difference, intersection, union } from "../../../src/tsdb/block/id-lists.ts";

const ids = fc.uniqueArray(fc.oneof(fc.nat(60), fc.nat(5000)), { maxLength: 200 }).map(ascending);

function ascending(numbers: Iterable<number>): Uint32Array {
  return Uint32Array.from(numbers).sort();
}

test("what is in all lists, and what is in one and not in another, is what sets say", () => {
  fc.assert(
    fc.property(fc.array(ids, { minLength: 1, maxLength: 4 }), (lists) => {
      const [first, ...others] = lists.map((list) => new Set(list));
      const common = others.reduce((found, set) => found.intersection(set), first!);
      expect(intersection(lists)).toEqual(ascending(common));
      const rest = others.reduce((found, set) => found.difference(set), first!);
      expect(lists.slice(1).reduce(difference, lists[0]!)).toEqual(ascending(rest));
    }),
  );
});

test("lists that have nothing in common become one, however they interleave", () => {
  fc.assert(
    fc.property(ids, fc.integer({ min: 1, max: 5 }), (all, count) => {
      const lists = Array.from({ length: count }, (_, n) => all.filter((id) => id % count === n));
      expect(union(lists)).toEqual(all);
    }),
  );
});
