/** What follows a selector and changes which samples it takes: offset, @, anchored, smoothed. */
import type { Duration, Expression, MatrixSelector, Subquery, TimeModifiers, VectorSelector } from "../ast.ts";
import { plainText } from "../number-text.ts";
import type { TokenStream } from "./token-stream.ts";

type Modifiable = VectorSelector | MatrixSelector | Subquery;

const isModifiable = (expression: Expression): expression is Modifiable =>
  expression.kind === "vector-selector" || expression.kind === "matrix-selector" || expression.kind === "subquery";

const modifiersOf = (expression: Modifiable): TimeModifiers =>
  expression.kind === "matrix-selector" ? expression.selector : expression;

export function withOffset(stream: TokenStream, expression: Expression, offset: Duration): Expression {
  const { start } = expression.position;
  if (!isModifiable(expression))
    throw stream.error(
      start,
      "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    );
  if (modifiersOf(expression).offset !== undefined) throw stream.error(start, "offset may not be set multiple times");
  // An offset of nothing is none, so that it may be set again.
  const isNone = offset.kind === "number" && Math.round(offset.value * 1e9) === 0;
  return withModifiers(stream, expression, { offset: isNone ? undefined : offset });
}

/** @param seconds as it stands in the query */
export function withTimestamp(stream: TokenStream, expression: Expression, seconds: number): Expression {
  if (!(Math.abs(seconds) < 2 ** 63))
    throw stream.error(expression.position.start, `timestamp out of bounds for @ modifier: ${fixedText(seconds)}`);
  return withAt(stream, expression, Math.sign(seconds) * Math.round(Math.abs(seconds) * 1000));
}

export function withAt(stream: TokenStream, expression: Expression, at: number | "start" | "end"): Expression {
  const { start } = expression.position;
  if (!isModifiable(expression))
    throw stream.error(
      start,
      "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    );
  if (modifiersOf(expression).at !== undefined)
    throw stream.error(start, "@ <timestamp> may not be set multiple times");
  return withModifiers(stream, expression, { at });
}

function withModifiers(stream: TokenStream, expression: Modifiable, change: Partial<TimeModifiers>): Modifiable {
  const position = { start: expression.position.start, end: stream.lastEnd };
  if (expression.kind !== "matrix-selector") return { ...expression, ...change, position };
  return { ...expression, selector: { ...expression.selector, ...change }, position };
}

export function withExtension(stream: TokenStream, expression: Expression, word: "anchored" | "smoothed"): Expression {
  const { start } = expression.position;
  if (expression.kind === "subquery") throw stream.error(start, `${word} modifier is not supported for subqueries`);
  if (!isModifiable(expression)) throw stream.error(start, `${word} modifier not implemented`);
  const selector = expression.kind === "matrix-selector" ? expression.selector : expression;
  const extended = { ...selector, [word]: true };
  if (extended.anchored && extended.smoothed)
    throw stream.error(start, "anchored and smoothed modifiers cannot be used together");
  return expression.kind === "matrix-selector" ? { ...expression, selector: extended } : extended;
}

/** As Go's `%f`; so far out, all floats are integers. */
const fixedText = (value: number): string => (Number.isFinite(value) ? `${BigInt(value)}.000000` : plainText(value));
