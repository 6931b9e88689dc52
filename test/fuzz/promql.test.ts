/** Anybody who can reach the server can send it a query. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formatExpression } from "../../src/tsdb/promql/format.ts";
import { parseExpression, parseSeriesSelector } from "../../src/tsdb/promql/parser.ts";
import { printExpression } from "../../src/tsdb/promql/print.ts";
import { fuzz } from "../support/fuzz.ts";
import { shapeOf } from "../support/promql-shape.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Few enough to be tried themselves in a fraction of the time there is. */
const queries = (
  JSON.parse(readFileSync(new URL("../testdata/promql-parse/accepted.json", import.meta.url), "utf8")) as [string][]
)
  .map(([query]) => query)
  .filter((query, i) => i % 8 === 0 && query.length < 500);

const words = [
  "sum ",
  "topk(",
  " by (",
  " without (",
  " on (",
  " ignoring (",
  " group_left ",
  " offset ",
  " @ ",
  "start()",
  "step()",
  "[5m]",
  "[1h:5m]",
  "[",
  "]",
  "(",
  ")",
  "{",
  "}",
  "{a=~",
  '"x"',
  "`",
  "'",
  "\\",
  "#",
  "\n",
  ",",
  ":",
  " bool ",
  " and ",
  " fill(1) ",
  " anchored",
  " smoothed",
  "min_of(",
  "-",
  "^",
  "</",
  ">/",
  "==",
  "!~",
  "1e3",
  "0x1f",
  "1h30m",
  "NaN",
  "Inf",
];

test("any text is a query or is refused, and what is printed or laid out is the same query", async () => {
  const runs = await fuzz({
    name: "test/fuzz/promql",
    corpus: queries.map(bytes),
    dictionary: words.map(bytes),
    inputBytesMax: 2048,
    run: (input) => {
      const query = new TextDecoder().decode(input);
      const tree = parseExpression(query);
      const printed = printExpression(tree);
      const expected = shapeOf(tree);
      expect(shapeOf(parseExpression(printed))).toBe(expected);
      // In front of a power, the plus of +Inf is read as a sign, and printed besides that of the number.
      const once = (text: string): string => text.replaceAll(/\++Inf/g, "+Inf");
      expect(once(printExpression(parseExpression(printed)))).toBe(once(printed));
      expect(shapeOf(parseExpression(formatExpression(tree)))).toBe(expected);
    },
  });
  expect(runs).toBeGreaterThan(0);
});

test("any text is a series selector or is refused", async () => {
  const runs = await fuzz({
    name: "test/fuzz/promql",
    corpus: ["up", 'up{a="b",c!="d",e=~"f.*",g!~"h|i"}', '{"a b","c d"="e"}', "{__name__=~`a.+`,}"].map(bytes),
    dictionary: ["{", "}", ",", "=~", "!~", '"', "`", "\\x", "\\u", "(?i)", "[", "{2,3}", ".*", "|"].map(bytes),
    inputBytesMax: 2048,
    run: (input) => parseSeriesSelector(new TextDecoder().decode(input)),
  });
  expect(runs).toBeGreaterThan(0);
});
