import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { TsdbError, messageOf } from "../../../src/base/errors.ts";
import type { Expression } from "../../../src/tsdb/promql/ast.ts";
import { SIGNATURES } from "../../../src/tsdb/promql/functions/signatures.ts";
import type { ParserOptions } from "../../../src/tsdb/promql/lexer.ts";
import { parseExpression, parseMetricSelector, parseSeriesSelector } from "../../../src/tsdb/promql/parser.ts";
import { NESTING_MAX } from "../../../src/tsdb/promql/parser/token-stream.ts";
import { printExpression } from "../../../src/tsdb/promql/print.ts";
import { shapeOf } from "../../support/promql-shape.ts";
import { corpusFiles, corpusMissing } from "../../support/promql-corpus.ts";

/** Recorded from Prometheus: see the README there. */
const recorded = (name: string): [string, string][] =>
  JSON.parse(readFileSync(new URL(`../../testdata/promql-parse/${name}`, import.meta.url), "utf8")) as [
    string,
    string,
  ][];

/** The message of the error, "" when there is none. */
function verdict(parse: () => unknown): string {
  try {
    parse();
    return "";
  } catch (error) {
    if (!(error instanceof TsdbError && error.code === "BAD_QUERY")) throw error;
    return error.message;
  }
}

const refusal = (query: string, options?: ParserOptions): string => verdict(() => parseExpression(query, options));

test("every query that Prometheus accepts is accepted, and printed alike", () => {
  for (const [query, printed] of recorded("accepted.json"))
    expect([query, printExpression(parseExpression(query))]).toEqual([query, printed]);
});

test("a printed query is parsed to the same tree", () => {
  for (const [query] of recorded("accepted.json")) {
    const tree = parseExpression(query);
    expect([query, shapeOf(parseExpression(printExpression(tree)))]).toEqual([query, shapeOf(tree)]);
  }
});

test("every query that Prometheus refuses is refused with its message, at its place", () => {
  for (const [query, message] of recorded("refused.json")) expect([query, refusal(query)]).toEqual([query, message]);
});

test("a series selector by itself is held to the same words", () => {
  for (const [text, message] of recorded("selectors.json"))
    expect([text, verdict(() => parseMetricSelector(text))]).toEqual([text, message]);
});

/** Queries of the corpus' `eval` lines, with the line's number. */
const evals = corpusFiles().flatMap(({ name, text }) =>
  text.split("\n").flatMap((line, i) => {
    const range = /^\s*eval(?:_\w+)?\s+range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+\s+(.*)$/.exec(line);
    const query = (range ?? /^\s*eval(?:_\w+)?\s+instant(?:\s+at\s+\S+)?\s+(.*)$/.exec(line))?.[1];
    return query === undefined ? [] : [{ place: `${name}:${i + 1}`, query }];
  }),
);

test.skipIf(corpusMissing !== undefined)(
  `every expression of Prometheus' corpus parses${corpusMissing === undefined ? "" : ` (skipped: ${corpusMissing})`}`,
  () => {
    const failures = evals.filter(({ query }) => refusal(query, { unquotedNames: true }) !== "");
    // Without the feature that only this file is about, 19 of its queries are refused.
    const withoutFeature = evals.filter(({ query }) => refusal(query) !== "");
    // oxlint-disable-next-line eslint/no-console -- the counts tell how much was compared
    console.log(`parsed ${evals.length - failures.length} of ${evals.length}, failed ${failures.length}`);
    expect(failures).toEqual([]);
    expect(evals.length).toBe(2434);
    expect(withoutFeature.length).toBe(19);
    expect(withoutFeature.every(({ place }) => place.startsWith("unquoted_utf8_names"))).toBe(true);
  },
);

/** Every operator with what it applies to in parentheses. */
function grouped(expression: Expression): string {
  switch (expression.kind) {
    case "binary":
      return `(${grouped(expression.left)} ${expression.operator} ${grouped(expression.right)})`;
    case "unary":
      return `(${expression.operator}${grouped(expression.expression)})`;
    case "paren":
      return grouped(expression.expression);
    default:
      return printExpression(expression);
  }
}

test("operators bind as in Prometheus: from the left, powers from the right, signs between product and power", () => {
  for (const [query, expected] of [
    ["1 + 2 * 3", "(1 + (2 * 3))"],
    ["1 - 2 - 3", "((1 - 2) - 3)"],
    ["2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"],
    ["-2 ^ 2", "(-(2 ^ 2))"],
    ["-a * b", "((-a) * b)"],
    ["2 ^ -3 * 4", "((2 ^ -3) * 4)"],
    ["a or b and c unless d", "(a or ((b and c) unless d))"],
    ["a == b + c", "(a == (b + c))"],
    ["a + b == bool c", "((a + b) == c)"],
    ["a % b atan2 c", "((a % b) atan2 c)"],
    ["a </ 1 > 2", "((a </ 1) > 2)"],
    ["a + b offset 5m", "(a + b offset 5m)"],
    ["a offset 5m - b", "(a offset 5m - b)"],
    ["a offset -5m ^ 2", "(a offset -5m ^ 2)"],
    ["a offset (1m + 1m) - 3s", "a offset (1m + 1m) - 3s"],
    ["-a @ 3 + b", "((-a @ 3.000) + b)"],
    ["a + b[5m]", undefined],
  ] as const) {
    if (expected === undefined) expect(refusal(query)).not.toBe("");
    else expect([query, grouped(parseExpression(query))]).toEqual([query, expected]);
  }
});

test("matching says which side is many, what is taken over, and what stands in for what is missing", () => {
  const matching = (query: string) => {
    const expression = parseExpression(query);
    return expression.kind === "binary" ? expression.matching : undefined;
  };
  const oneToOne = {
    card: "one-to-one",
    on: false,
    labels: [],
    include: [],
    fillLeft: undefined,
    fillRight: undefined,
  };
  expect(matching("a + b")).toEqual(oneToOne);
  expect(matching("a + 1")).toBe(undefined);
  expect(matching("a and on (x) b")).toEqual({ ...oneToOne, card: "many-to-many", on: true, labels: ["x"] });
  expect(matching("a * on (x, y) group_left (z) b")).toEqual({
    ...oneToOne,
    card: "many-to-one",
    on: true,
    labels: ["x", "y"],
    include: ["z"],
  });
  expect(matching("a * ignoring (x) group_right b")).toEqual({ ...oneToOne, card: "one-to-many", labels: ["x"] });
  expect(matching("a + fill_right (-1) fill_left (1m) b")).toEqual({ ...oneToOne, fillLeft: 60, fillRight: -1 });
});

test("columns count bytes and positions in the tree code units, both from the first line on", () => {
  expect(refusal('{a="é😀"} b')).toBe('1:14: parse error: unexpected identifier "b"');
  expect(refusal('a +\n  "é" b')).toBe('2:8: parse error: unexpected identifier "b"');
  const tree = parseExpression('{a="é😀"} + b');
  expect(tree.kind === "binary" && tree.right.position).toEqual({ start: 12, end: 13 });
});

test("the second argument of info() is a list of matchers, which may select everything", () => {
  expect(refusal('info(a, {b=~".*"})')).toBe("");
  expect(refusal("info(a, {})")).toBe("");
  expect(refusal("info(a, b)")).toContain("expected label selectors only, got vector selector instead");
});

test("names without quotes may have letters of any script and dots when that is asked for", () => {
  const options = { unquotedNames: true };
  for (const query of [
    "Björn",
    "温度{場所=~'東.*'}",
    "rate(http.server.requests[5m])",
    "sum by (équipe) (𐐀)",
    "on.total",
  ]) {
    expect([query, refusal(query, options)]).toEqual([query, ""]);
    expect(refusal(query)).not.toBe("");
  }
  for (const query of ["foo😀", "foo١", ".foo", "foo[5m.foo]", "sum by (a:b) (c)", "rate.total(foo)"])
    expect(refusal(query, options)).not.toBe("");
});

test("bytes in a string may spell out UTF-8, and others equal nothing", () => {
  const [matcher] = parseMetricSelector(String.raw`{a="\xc3\xa9\303\251\u00e9"}`);
  expect(matcher!.value).toBe("ééé");
  expect(refusal(String.raw`sum by ("\xff") (a)`)).toBe(
    String.raw`1:9: parse error: invalid label name for grouping: "\xff"`,
  );
  const broken = parseExpression(String.raw`"\xc3(\xff"`);
  expect(broken.kind === "string" && broken.value.isWellFormed()).toBe(false);
  expect(printExpression(broken)).toBe(String.raw`"\xc3(\xff"`);
});

test("a match[] that selects everything is refused", () => {
  expect(verdict(() => parseSeriesSelector('{a=~".*"}'))).toBe("match[] must contain at least one non-empty matcher");
  expect(verdict(() => parseSeriesSelector("{}"))).toBe("match[] must contain at least one non-empty matcher");
  expect(parseSeriesSelector('{a=~".+"}')).toHaveLength(1);
});

const nest = (open: string, count: number, close = ""): string => open.repeat(count) + "a" + close.repeat(count);

test("nesting has a limit, whatever is nested, and the message says so", () => {
  expect(refusal(nest("(", NESTING_MAX, ")"))).toBe("");
  const message = `expression is nested more than ${NESTING_MAX} levels deep`;
  for (const query of [
    nest("(", NESTING_MAX + 1, ")"),
    nest("(", 100_000),
    nest("-", 100_000),
    nest("abs(", 100_000),
    nest("sum by (x) (", 10_000),
    `2${"^2".repeat(10_000)}`,
    `a${"[5m:1m]".repeat(10_000)}`,
    `a${" offset 0s".repeat(10_000)}`,
    `a[${"(".repeat(10_000)}`,
    `a[${"-".repeat(10_000)}1]`,
    `a[1${"+1".repeat(10_000)}]`,
    `a offset ${"-".repeat(10_000)}1`,
  ])
    expect([query.slice(0, 20), refusal(query)]).toEqual([query.slice(0, 20), expect.stringContaining(message)]);
});

test("chains are no nesting: thousands of operators, labels, matchers and arguments are read, checked and printed", () => {
  for (const query of [
    `a${" + a".repeat(5000)}`,
    `1${" * 2".repeat(5000)}`,
    `a${" or b and c".repeat(5000)}`,
    `{${'a="b",'.repeat(5000)}}`,
    `sum by (${"a,".repeat(5000)}) (b)`,
    `label_join(a${', "x"'.repeat(5000)})`,
    `"${String.raw`\u0041`.repeat(5000)}"`,
    `${"# comment\n".repeat(5000)}a`,
  ]) {
    const printed = printExpression(parseExpression(query));
    expect(printExpression(parseExpression(printed))).toBe(printed);
  }
});

test("where Prometheus' answer is an accident, ours differs", () => {
  // It takes this number for an offset of -292 years.
  expect(refusal("a offset NaN")).toBe("1:10: parse error: duration out of range");
  // It prints 1s, because 1.001 seconds are 1000999999.99 nanoseconds.
  expect(printExpression(parseExpression("a[1001ms - 1]"))).toBe("a[1s1ms - 1]");
  // It overflows to -9223372036854776.000.
  expect(printExpression(parseExpression("a @ 1e17"))).toBe("a @ 100000000000000000.000");
});

test("every function says what it takes and returns, and arguments are counted and checked by that", () => {
  expect(SIGNATURES.size).toBe(91);
  for (const [name, { arguments: types, optional, returns }] of SIGNATURES) {
    const sample = { scalar: "1", string: '"x"', vector: "a", matrix: "a[1m]" };
    const given = types.map((type, i) => (name === "info" && i === 1 ? '{b="c"}' : sample[type]));
    const least = given.slice(0, types.length - optional);
    const call = (list: readonly string[]): string => `${name}(${list.join(", ")})`;
    expect([name, refusal(call(given)), refusal(call(least))]).toEqual([name, "", ""]);
    const tree = parseExpression(call(given));
    expect(tree.kind === "call" && tree.type).toBe(returns);
    if (least.length > 0) expect(refusal(call(least.slice(1)))).toMatch(/argument\(s\) in call to|expected type/);
  }
});

test("an error of the parser is the user's, never a failure", () => {
  for (const query of [
    "",
    " ",
    "#",
    "\ud800",
    "'\ud800'",
    "\u0000",
    "a[",
    "a{",
    "'",
    "`",
    "a @",
    "a offset",
    "sum(",
    "\\",
  ])
    expect(() => parseExpression(query)).toThrow(TsdbError);
  expect(messageOf(verdict(() => parseExpression("")))).toBe(
    "unknown position: parse error: no expression found in input",
  );
});
