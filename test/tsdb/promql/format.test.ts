import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { formatExpression } from "../../../src/tsdb/promql/format.ts";
import { parseExpression } from "../../../src/tsdb/promql/parser.ts";
import { printExpression } from "../../../src/tsdb/promql/print.ts";

/** Recorded from Prometheus: see the README there. */
const rows = JSON.parse(
  readFileSync(new URL("../../testdata/promql-parse/formatted.json", import.meta.url), "utf8"),
) as [number, string, string][];

test("a query is laid out as Prometheus does", () => {
  for (const [lineBytesMax, query, expected] of rows)
    expect([query, formatExpression(parseExpression(query), lineBytesMax)]).toEqual([query, expected]);
});

test("a query that fits on a line of 100 characters stays on it", () => {
  const query = `sum by (job) (rate(http_requests_total{job=~"api.*"}[5m])) / ignoring (code) group_left () a`;
  expect(formatExpression(parseExpression(query))).toBe(query);
});

test("the layout changes nothing but white space", () => {
  for (const [, query] of rows) {
    const tree = parseExpression(query);
    for (const lineBytesMax of [1, 10, 40, 100])
      expect(printExpression(parseExpression(formatExpression(tree, lineBytesMax)))).toBe(printExpression(tree));
  }
});

test("a chain of thousands of operators is laid out, in no more than a few hundred bytes a line", () => {
  const tree = parseExpression(`a${" + a".repeat(5000)}`);
  const formatted = formatExpression(tree);
  expect(formatted.length).toBeLessThan(5000 * 2 * 210);
  expect(printExpression(parseExpression(formatted))).toBe(printExpression(tree));
});
