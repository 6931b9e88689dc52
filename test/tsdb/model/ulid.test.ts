/** ULIDs: 26 characters that sort as they were made. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isUlid, ulidMaker, ulidTimeMs } from "../../../src/tsdb/model/ulid.ts";
import { Random } from "../../support/random.ts";

test("a ULID has its time, is one, and sorts behind all that were made before it", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 48 - 1 }), { minLength: 1 }), fc.integer(), (times, seed) => {
      const random = new Random(seed);
      const next = ulidMaker((into) => into.set(random.bytes(into.byteLength)));
      let before = "";
      let newest = 0;
      for (const time of times) {
        const ulid = next(time);
        newest = Math.max(newest, time);
        expect(isUlid(ulid)).toBe(true);
        expect(ulid > before).toBe(true);
        expect(ulidTimeMs(ulid)).toBe(newest);
        before = ulid;
      }
    }),
  );
});

test("known ULIDs are written as others write them", () => {
  const next = ulidMaker((into) => into.fill(0));
  expect(next(1_469_918_176_385)).toBe("01ARYZ6S410000000000000000");
  expect(next(1_469_918_176_385)).toBe("01ARYZ6S410000000000000001");
  expect(ulidMaker((into) => into.fill(0xff))(2 ** 48 - 1)).toBe("7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
});

test("what is no ULID is told apart", () => {
  for (const text of [
    "",
    "01ARYZ6S41000000000000000",
    "01ARYZ6S4100000000000000000",
    "81ARYZ6S410000000000000000",
    "01ARYZ6S41000000000000000I",
    "01aryz6s410000000000000000",
    "01ARYZ6S410000000000000000.tmp-for-creation",
    "../ARYZ6S410000000000000000",
  ])
    expect(isUlid(text), text).toBe(false);
});
