/**
 * What a query means, apart from how it is written: its syntax tree without positions, matchers in one order, and without
 * plus signs, which mean nothing. Prometheus prints `inf ^ x` as `+Inf ^ x`, which is a sign before a power.
 */
import type { Duration, Expression } from "../../src/tsdb/promql/ast.ts";
import type { Matcher } from "../../src/tsdb/model/matcher.ts";

export const shapeOf = (expression: Expression): string => JSON.stringify(expression, withoutWriting);

const isParen = (value: unknown): value is { readonly duration: Duration } =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "duration-paren";

const isPlus = (value: unknown): value is { readonly expression: Expression } =>
  typeof value === "object" &&
  value !== null &&
  "kind" in value &&
  value.kind === "unary" &&
  "operator" in value &&
  value.operator === "+";

function withoutWriting(key: string, given: unknown): unknown {
  let value = given;
  while (isPlus(value)) value = value.expression;
  if (key === "position" || key === "isDuration") return undefined;
  if (isParen(value)) return value.duration;
  if (key === "matchers") return (value as Matcher[]).map((matcher) => JSON.stringify(matcher)).sort();
  // JSON knows neither of them.
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
