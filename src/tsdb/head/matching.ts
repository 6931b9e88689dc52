/**
 * Matchers as predicates on label values. Regular expressions have RE2's semantics (linear time, anchored, `.` matches
 * line breaks) through re2js; patterns that are just a literal, an alternation of literals, a prefix or a suffix are
 * answered without it.
 */
import { RE2JS } from "re2js";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Matcher } from "../model/matcher.ts";

export interface ValueTest {
  /** The only values that can pass, when they are known: then nothing needs to be scanned. */
  readonly literals: readonly string[] | undefined;
  passes(value: string): boolean;
}

/** Longest pattern and largest alternation that are compiled. */
const PATTERN_LENGTH_MAX = 4096;

/** The positive form of a matcher: `!=` and `!~` are the complement of what this accepts. */
export function valueTest(matcher: Matcher): ValueTest {
  if (matcher.type === "=" || matcher.type === "!=") return literalTest([matcher.value]);
  return regexTest(matcher.value);
}

function literalTest(literals: readonly string[]): ValueTest {
  const set = new Set(literals);
  return { literals, passes: (value) => set.has(value) };
}

const META = /[\\.+*?()|[\]{}^$]/;

function regexTest(pattern: string): ValueTest {
  if (!META.test(pattern)) return literalTest([pattern]);
  // re2js decides what is valid, also for patterns that then take a shorter way.
  const compiled = compile(pattern);
  const alternatives = pattern.split("|");
  if (alternatives.every((alternative) => !META.test(alternative))) return literalTest(alternatives);
  for (const wildcard of [".*", ".+"]) {
    const least = wildcard === ".+" ? 1 : 0;
    if (pattern === wildcard) return { literals: undefined, passes: (value) => value.length >= least };
    const rest = pattern.endsWith(wildcard) ? pattern.slice(0, -2) : undefined;
    if (rest !== undefined && !META.test(rest)) {
      return { literals: undefined, passes: (value) => value.startsWith(rest) && value.length >= rest.length + least };
    }
    const tail = pattern.startsWith(wildcard) ? pattern.slice(2) : undefined;
    if (tail !== undefined && !META.test(tail)) {
      return { literals: undefined, passes: (value) => value.endsWith(tail) && value.length >= tail.length + least };
    }
  }
  return { literals: undefined, passes: (value) => compiled.testExact(value) };
}

function compile(pattern: string): RE2JS {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    throw new TsdbError("BAD_QUERY", `A regular expression is longer than ${PATTERN_LENGTH_MAX} characters`);
  }
  try {
    return RE2JS.compile(pattern, RE2JS.DOTALL);
  } catch (thrown) {
    throw new TsdbError("BAD_QUERY", `error parsing regexp: ${messageOf(thrown)}`, { cause: thrown });
  }
}
