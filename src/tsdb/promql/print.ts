/**
 * A query as text again, on one line and in Prometheus' notation: what is parsed from the text is the same tree. Comments,
 * trailing commas and the like are gone, labels of a selector are in order, the grouping of an aggregation stands before its
 * arguments.
 * @see Prometheus promql/parser/printer.go
 */
import { formatDurationMs } from "../../base/duration.ts";
import { METRIC_NAME, compareBytes } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import type {
  AggregateExpression,
  BinaryExpression,
  Duration,
  Expression,
  NumberLiteral,
  Subquery,
  TimeModifiers,
  VectorSelector,
} from "./ast.ts";
import { generalText, plainText } from "./number-text.ts";
import { quoted } from "./parser/go-text.ts";

export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case "number":
      return printNumber(expression);
    case "string":
      return quoted(expression.value);
    case "paren":
      return `(${printExpression(expression.expression)})`;
    case "unary":
      return expression.operator + printExpression(expression.expression);
    case "binary":
      return printChain(expression);
    case "aggregate": {
      const { parameter, expression: operand } = expression;
      const given = parameter === undefined ? [operand] : [parameter, operand];
      return `${printAggregation(expression)}(${printList(given)})`;
    }
    case "call":
      return `${expression.name}(${printList(expression.arguments)})`;
    case "vector-selector": {
      const extension = printExtension(expression);
      return printName(expression) + printAt(expression) + extension + printOffset(expression);
    }
    case "matrix-selector": {
      const { selector, range } = expression;
      const modifiers = printExtension(selector) + printAt(selector) + printOffset(selector);
      return `${printName(selector)}[${printDuration(range)}]${modifiers}`;
    }
    case "subquery":
      return printExpression(expression.expression) + printSubqueryRange(expression);
  }
}

const printList = (expressions: readonly Expression[]): string => expressions.map(printExpression).join(", ");

/** A chain such as a + b + c grows to the left, and may be long. */
function printChain(last: BinaryExpression): string {
  const parts: string[] = [];
  let first: Expression = last;
  for (; first.kind === "binary"; first = first.left)
    parts.push(` ${printOperator(first)} ${printExpression(first.right)}`);
  return printExpression(first) + parts.reverse().join("");
}

/** The operator with all that belongs to it: `/ on (a) group_left ()`. */
export function printOperator({ operator, returnBool, matching }: BinaryExpression): string {
  const words: string[] = [returnBool ? `${operator} bool` : operator];
  if (matching === undefined) return words[0]!;
  const { card, on, labels, include, fillLeft, fillRight } = matching;
  const isGrouped = card === "many-to-one" || card === "one-to-many";
  if (on || isGrouped || labels.length > 0) words.push(`${on ? "on" : "ignoring"} (${printLabels(labels)})`);
  if (isGrouped) words.push(`group_${card === "many-to-one" ? "left" : "right"} (${printLabels(include)})`);
  if (fillLeft !== undefined && fillLeft === fillRight) words.push(`fill (${generalText(fillLeft)})`);
  else {
    if (fillLeft !== undefined) words.push(`fill_left (${generalText(fillLeft)})`);
    if (fillRight !== undefined) words.push(`fill_right (${generalText(fillRight)})`);
  }
  return words.join(" ");
}

/** `sum by (a) `, or without a grouping just `sum`. */
export function printAggregation({ operator, grouping, without }: AggregateExpression): string {
  if (!without && grouping.length === 0) return operator;
  return `${operator} ${without ? "without" : "by"} (${printLabels(grouping)}) `;
}

const PLAIN_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

const printLabel = (name: string): string => (PLAIN_LABEL_NAME.test(name) ? name : quoted(name));

const printLabels = (names: readonly string[]): string => names.map(printLabel).join(", ");

/** The metric name and the matchers, those in the order of their text. */
function printName({ name = "", matchers }: VectorSelector): string {
  const printed = matchers.filter((matcher) => !isNameOf(matcher, name)).map(printMatcher);
  return name + (printed.length === 0 ? "" : `{${printed.sort(compareBytes).join(",")}}`);
}

const printMatcher = ({ name, type, value }: Matcher): string => printLabel(name) + type + quoted(value);

const isNameOf = (matcher: Matcher, name: string): boolean =>
  name !== "" && matcher.name === METRIC_NAME && matcher.type === "=" && matcher.value === name;

const printExtension = ({ anchored, smoothed }: VectorSelector): string =>
  anchored ? " anchored" : smoothed ? " smoothed" : "";

function printAt({ at }: TimeModifiers): string {
  if (at === undefined) return "";
  if (typeof at === "string") return ` @ ${at}()`;
  return ` @ ${(at / 1000).toFixed(3)}`;
}

function printOffset({ offset }: TimeModifiers): string {
  if (offset === undefined) return "";
  if (offset.kind === "number") return ` offset ${printSeconds(offset.value)}`;
  // Where nothing in parentheses begins it, an offset ends at its first operator.
  if (isArithmetic(offset)) {
    const text = printArithmetic(offset);
    return text.startsWith("(") ? ` offset ${text}` : ` offset (${text})`;
  }
  if (offset.kind === "duration-negated" && isArithmetic(offset.duration))
    return ` offset -(${printArithmetic(offset.duration)})`;
  return ` offset ${printArithmetic(offset)}`;
}

const isArithmetic = (duration: Duration): boolean =>
  duration.kind === "duration-binary" && duration.operator !== "min_of" && duration.operator !== "max_of";

/** `[1h:5m] @ 10.000 offset 1m` */
export function printSubqueryRange(subquery: Subquery): string {
  const { range, step } = subquery;
  const resolution = step === undefined ? "" : printDuration(step);
  return `[${printDuration(range)}:${resolution}]${printAt(subquery)}${printOffset(subquery)}`;
}

/** A duration by itself is printed in units, whatever it was written in; inside arithmetic as it was. */
const printDuration = (duration: Duration): string =>
  duration.kind === "number" ? printSeconds(duration.value) : printArithmetic(duration);

function printArithmetic(duration: Duration): string {
  switch (duration.kind) {
    case "number":
      return printNumber(duration);
    case "duration-paren":
      return `(${printArithmetic(duration.duration)})`;
    case "duration-negated":
      return `-${printArithmetic(duration.duration)}`;
    case "duration-of-query":
      return `${duration.what}()`;
    case "duration-binary": {
      const { operator, left, right } = duration;
      if (operator === "min_of" || operator === "max_of")
        return `${operator}(${printArithmetic(left)}, ${printArithmetic(right)})`;
      return `${printArithmetic(left)} ${operator} ${printArithmetic(right)}`;
    }
  }
}

const printNumber = ({ value, isDuration }: NumberLiteral): string =>
  isDuration ? printSeconds(value) : plainText(value);

/** In units; as a number what no unit is small enough for. */
function printSeconds(seconds: number): string {
  const ms = Math.abs(Math.round(seconds * 1e9)) / 1e6;
  if (!Number.isInteger(ms)) return plainText(seconds);
  return (seconds < 0 ? "-" : "") + formatDurationMs(ms);
}
