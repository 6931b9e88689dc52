/**
 * PromQL from text to a checked syntax tree. The whole language of Prometheus 3.16 is understood, its experimental parts
 * included; what cannot be computed is refused later, by name. Errors are Prometheus', word for word: the first one only, with
 * line and column (in bytes).
 *
 *   text ──lexer──▶ tokens ──parser/expression──▶ tree ──parser/type-check──▶ the same tree, checked
 *
 * Time grows with the length of the text. Memory of the stack does not: nesting is limited (NESTING_MAX), chains are loops.
 */
import { TsdbError } from "../../base/errors.ts";
import type { Matcher } from "../model/matcher.ts";
import { acceptsEmpty } from "../model/value-test.ts";
import type { Expression } from "./ast.ts";
import type { ParserOptions } from "./lexer.ts";
import { parseOperators } from "./parser/expression.ts";
import { parseSelector } from "./parser/selector.ts";
import { TokenStream } from "./parser/token-stream.ts";
import { isMetricName } from "./parser/tokens.ts";
import { checkTypes } from "./parser/type-check.ts";

/** @throws TsdbError BAD_QUERY */
export function parseExpression(query: string, options: ParserOptions = {}): Expression {
  const stream = new TokenStream(query, options);
  if (stream.peek().kind === "<end>") throw stream.error(0, "no expression found in input");
  const expression = parseOperators(stream);
  stream.expect("<end>");
  checkTypes(query, expression);
  return expression;
}

/**
 * A series selector by itself: no range, no modifiers. It may select everything.
 * @throws TsdbError BAD_QUERY
 */
export function parseMetricSelector(text: string, options: ParserOptions = {}): readonly Matcher[] {
  const stream = new TokenStream(text, options);
  const first = stream.peek();
  if (first.kind !== "{" && !isMetricName(first)) throw stream.unexpected();
  const { matchers } = parseSelector(stream);
  stream.expect("<end>");
  return matchers;
}

/**
 * A `match[]` of the API: a series selector that does not select everything.
 * @throws TsdbError BAD_QUERY
 */
export function parseSeriesSelector(text: string): readonly Matcher[] {
  const matchers = parseMetricSelector(text);
  if (matchers.every(acceptsEmpty))
    throw new TsdbError("BAD_QUERY", "match[] must contain at least one non-empty matcher");
  return matchers;
}
