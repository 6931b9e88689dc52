/**
 * Matchers as predicates on label values. Regular expressions have RE2's semantics: linear time, the whole value must match,
 * `.` matches line breaks too. re2js decides what is valid and answers what has no simpler shape; it is some hundred times
 * slower than comparing strings, and most patterns that people write are strings with a wildcard or a few alternatives.
 */
import { RE2JS } from "re2js";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Matcher } from "./matcher.ts";
import { requiredEnds, shapeOf } from "./regex-shape.ts";
import type { RegexShape } from "./regex-shape.ts";
import { programSizeOf } from "./regex-size.ts";

export interface ValueTest {
  /** The only values that can pass, when they are known: then nothing needs to be scanned. */
  readonly literals: readonly string[] | undefined;
  passes(value: string): boolean;
}

/** Longest pattern that is compiled, and largest program; a list of literals may be as long as a query. */
export const PATTERN_LENGTH_MAX = 4096;
export const PROGRAM_SIZE_MAX = 5000;

/** A query meets each of its patterns several times: when it is parsed, checked and planned, and in each storage. */
const REMEMBERED_MAX = 64;
const remembered = new Map<string, ValueTest>();

/**
 * The positive form of a matcher: `!=` and `!~` are the complement of what this accepts.
 * @throws TsdbError BAD_QUERY for a pattern that is none, in Go's words
 */
export function valueTest({ type, value }: Matcher): ValueTest {
  if (type === "=" || type === "!=") return literalTest([value]);
  const test = remembered.get(value) ?? regexTest(value);
  // Put at the end again, so that the first one is the one not seen for longest.
  remembered.delete(value);
  remembered.set(value, test);
  if (remembered.size > REMEMBERED_MAX) remembered.delete(remembered.keys().next().value!);
  return test;
}

/** Whether series without the label match: to them it counts as the empty string. */
export function acceptsEmpty(matcher: Matcher): boolean {
  const isNegative = matcher.type === "!=" || matcher.type === "!~";
  return valueTest(matcher).passes("") !== isNegative;
}

function literalTest(literals: readonly string[]): ValueTest {
  const set = new Set(literals);
  return { literals, passes: (value) => set.has(value) };
}

function regexTest(pattern: string): ValueTest {
  const shape = shapeOf(pattern);
  if (shape?.kind === "literals") return literalTest(shape.literals);
  if (shape?.kind === "wildcards") return { literals: undefined, passes: (value) => fitsWildcards(shape, value) };
  const compiled = compile(pattern);
  const { prefix, suffix } = requiredEnds(pattern);
  return {
    literals: undefined,
    passes: (value) => value.startsWith(prefix) && value.endsWith(suffix) && compiled.testExact(value),
  };
}

/** Finds each piece as far left as it may be; the last one has to be at the end. */
function fitsWildcards({ pieces, gaps }: RegexShape & { kind: "wildcards" }, value: string): boolean {
  const last = pieces.length - 1;
  if (!value.startsWith(pieces[0]!) || !value.endsWith(pieces[last]!)) return false;
  let at = pieces[0]!.length;
  for (let i = 1; i < last; i++) {
    const found = value.indexOf(pieces[i]!, at + gaps[i - 1]!);
    if (found < 0) return false;
    at = found + pieces[i]!.length;
  }
  return at + gaps[last - 1]! <= value.length - pieces[last]!.length;
}

function compile(pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX)
    throw new TsdbError("BAD_QUERY", `regular expression is longer than ${PATTERN_LENGTH_MAX} characters`);
  const size = programSizeOf(pattern);
  if (size > PROGRAM_SIZE_MAX)
    throw new TsdbError("BAD_QUERY", `regular expression is too large: ${size} instructions of ${PROGRAM_SIZE_MAX}`);
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (thrown) {
    throw new TsdbError("BAD_QUERY", goMessage(messageOf(thrown), pattern), { cause: thrown });
  }
}

/** re2js has the flag as part of the pattern, and leaves out an empty quotation. */
function goMessage(message: string, pattern: string): string {
  if (message.endsWith("trailing backslash at end of expression")) return `${message}: \`\``;
  const withFlag = `\`(?s)${pattern}\``;
  return message.endsWith(withFlag) ? `${message.slice(0, -withFlag.length)}\`${pattern}\`` : message;
}
