import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { PATTERN_LENGTH_MAX, acceptsEmpty, valueTest } from "../../../src/tsdb/model/value-test.ts";

const matches = (pattern: string) => valueTest({ type: "=~", name: "a", value: pattern });

test("a regular expression matches the whole value, dots match line breaks", () => {
  for (const [pattern, value, expected] of [
    ["a", "ab", false],
    ["a.", "ab", true],
    ["a.*", "a\nb", true],
    ["a.+", "a", false],
    ["a|b", "b", true],
    ["(a|b)c", "bc", true],
    ["^a$", "a", true],
    ["(?i)straße", "STRAßE", true],
    ["(?i)k", "\u212a", true],
    ["", "", true],
    ["a|", "", true],
    [".", "\u{1f600}", true],
    ["..", "\u{1f600}", false],
    [".+.+", "\u{1f600}", false],
    ["(a+)+b", "a".repeat(10_000), false],
  ] as const)
    expect([pattern, value, matches(pattern).passes(value)]).toEqual([pattern, value, expected]);
});

test("what only few values can match is known by its values", () => {
  for (const [pattern, literals] of [
    ["a", ["a"]],
    ["a|b|", ["a", "b", ""]],
    ["(a|b)", ["a", "b"]],
    ["^(?:a|b)$", ["a", "b"]],
    [String.raw`10\.0\.0\.1:9100|b\|c`, undefined],
    [String.raw`(10\.0\.0\.1:9100|c\-d)`, ["10.0.0.1:9100", "c-d"]],
    ["a.*", undefined],
    ["(?i)a", undefined],
    ["[a]", undefined],
  ] as const)
    expect([pattern, matches(pattern).literals]).toEqual([pattern, literals]);
  expect(valueTest({ type: "!=", name: "a", value: "x" }).literals).toEqual(["x"]);
});

test("every shortcut answers as re2js does", () => {
  const part = fc.constantFrom(
    "a",
    "b",
    "ab",
    ".",
    "*",
    "+",
    "?",
    "|",
    "(",
    ")",
    "[ab]",
    "^",
    "$",
    "\\.",
    "\\d",
    "\\b",
    "(?i)",
    "(?:",
    "{2}",
    "{0}",
    ".*",
    ".+",
    "é",
    "\u{1f600}",
    "\n",
    "-",
    "\\-",
    "\\x41",
    "\\Q.\\E",
    "[^a]",
    "\\$",
    "(a|b)",
    ".?",
    "a*",
  );
  const pattern = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(""));
  const value = fc
    .array(fc.constantFrom("a", "b", "A", "1", "é", "\u{1f600}", "\n", "-", ".", "$", "|"), { maxLength: 5 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(pattern, fc.array(value, { minLength: 10, maxLength: 10 }), (text, values) => {
      let expected: RE2JS | undefined;
      try {
        expected = RE2JS.compile(text, RE2JS.DOTALL);
      } catch {
        expect(() => matches(text)).toThrow("error parsing regexp: ");
        return;
      }
      const tested = matches(text);
      for (const one of values) {
        expect([text, one, tested.passes(one)]).toEqual([text, one, expected.testExact(one)]);
        if (tested.literals !== undefined) expect(tested.literals.includes(one)).toBe(tested.passes(one));
      }
    }),
    { numRuns: 1000 },
  );
});

test("a pattern that is none is refused in Go's words", () => {
  for (const [pattern, message] of [
    ["(a", "error parsing regexp: missing closing ): `(a`"],
    ["a)", "error parsing regexp: unexpected ): `a)`"],
    ["[a", "error parsing regexp: missing closing ]: `[a`"],
    ["a**", "error parsing regexp: invalid nested repetition operator: `**`"],
    ["+", "error parsing regexp: missing argument to repetition operator: `+`"],
    ["a\\", "error parsing regexp: trailing backslash at end of expression: ``"],
    ["a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"],
    ["(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"],
  ] as const)
    expect(() => matches(pattern)).toThrow(expect.objectContaining({ code: "BAD_QUERY", message }));
});

test("a pattern may be only so long, and repeat only so much, unless it is a list", () => {
  expect(() => matches("a.?".repeat(PATTERN_LENGTH_MAX))).toThrow("longer than 4096 characters");
  expect(() => matches(".{1000}".repeat(9))).toThrow("regular expression is too large: 9000 instructions of 5000");
  expect(() => matches("((a{10}){10}b){50}")).toThrow("too large");
  expect(matches("(x[ab]{3}){10}").passes("xabaxaba")).toBe(false);
  const names = Array.from({ length: 10_000 }, (_, i) => `pod-${i}`);
  expect(matches(names.join("|")).literals).toEqual(names);
});

test("a label that is missing counts as the empty string", () => {
  for (const [type, value, expected] of [
    ["=", "", true],
    ["=", "a", false],
    ["!=", "", false],
    ["!=", "a", true],
    ["=~", ".*", true],
    ["=~", ".+", false],
    ["!~", ".+", true],
    ["!~", "a|", false],
  ] as const)
    expect([type, value, acceptsEmpty({ type, name: "l", value })]).toEqual([type, value, expected]);
});
