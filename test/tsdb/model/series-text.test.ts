import { expect, test } from "vitest";
import { parseValue } from "../../../src/tsdb/model/series-text.ts";

test("values are those that Prometheus reads", () => {
  for (const [text, value] of [
    ["1", 1],
    ["+1.5e3", 1500],
    [".5", 0.5],
    ["2.", 2],
    ["-0", -0],
    ["NaN", NaN],
    ["+Inf", Infinity],
    ["-inf", -Infinity],
  ] as const)
    expect(Object.is(parseValue(text), value)).toBe(true);
  for (const text of ["", "1,5", "0x", "--1", "1e", "one", "Infinit", "1_000"])
    expect(parseValue(text)).toBeUndefined();
});
