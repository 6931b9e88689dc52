/**
 * The syntax tree of a query. What the parser hands out has passed the type check: functions exist and get arguments of
 * their types, operators get operands that they can work on.
 *
 * Positions are indices into the query's text, in UTF-16 code units.
 */
import type { Matcher } from "../model/matcher.ts";
import type { BinaryOperator as ArithmeticOperator } from "./functions/arithmetic.ts";

export interface Position {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export type ValueType = "scalar" | "string" | "vector" | "matrix";

export type Expression =
  | NumberLiteral
  | StringLiteral
  | ParenExpression
  | UnaryExpression
  | BinaryExpression
  | AggregateExpression
  | CallExpression
  | VectorSelector
  | MatrixSelector
  | Subquery;

export interface NumberLiteral {
  readonly kind: "number";
  /** Seconds when it was written as a duration. */
  readonly value: number;
  /** Written as a duration, such as 5m; printed so again. */
  readonly isDuration: boolean;
  readonly position: Position;
}

export interface StringLiteral {
  readonly kind: "string";
  readonly value: string;
  readonly position: Position;
}

export interface ParenExpression {
  readonly kind: "paren";
  readonly type: ValueType;
  readonly expression: Expression;
  readonly position: Position;
}

/** A sign; that of a number literal is part of the literal. */
export interface UnaryExpression {
  readonly kind: "unary";
  readonly type: ValueType;
  readonly operator: "+" | "-";
  readonly expression: Expression;
  readonly position: Position;
}

export type SetOperator = "and" | "or" | "unless";
/** Cut off the buckets of a native histogram above or below a value. */
export type TrimOperator = "</" | ">/";
export type BinaryOperator = ArithmeticOperator | SetOperator | TrimOperator;

export interface BinaryExpression {
  readonly kind: "binary";
  readonly type: ValueType;
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  /** Comparisons yield 0 or 1 instead of dropping what does not hold. */
  readonly returnBool: boolean;
  /** How series of two vectors find each other; undefined when a side is a scalar. */
  readonly matching: VectorMatching | undefined;
  readonly position: Position;
}

export interface VectorMatching {
  readonly card: "one-to-one" | "many-to-one" | "one-to-many" | "many-to-many";
  /** True for `on (labels)`, false for `ignoring (labels)`. */
  readonly on: boolean;
  readonly labels: readonly string[];
  /** Labels that group_left or group_right takes over from the "one" side. */
  readonly include: readonly string[];
  /** Stand in for a missing series of that side. */
  readonly fillLeft: number | undefined;
  readonly fillRight: number | undefined;
}

export type AggregateOperator =
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "count"
  | "group"
  | "stddev"
  | "stdvar"
  | "quantile"
  | "topk"
  | "bottomk"
  | "count_values"
  | "limitk"
  | "limit_ratio";

export interface AggregateExpression {
  readonly kind: "aggregate";
  readonly operator: AggregateOperator;
  readonly expression: Expression;
  /** Of quantile, topk, bottomk, limitk, limit_ratio a scalar, of count_values a string. */
  readonly parameter: Expression | undefined;
  readonly grouping: readonly string[];
  readonly without: boolean;
  readonly position: Position;
}

export interface CallExpression {
  readonly kind: "call";
  readonly type: ValueType;
  /** One of SIGNATURES (functions/signatures.ts). */
  readonly name: string;
  readonly arguments: readonly Expression[];
  readonly position: Position;
}

/** What offset and @ say about a selector or subquery. */
export interface TimeModifiers {
  readonly offset: Duration | undefined;
  /** Milliseconds since the epoch, or an end of the query's range. */
  readonly at: number | "start" | "end" | undefined;
}

export interface VectorSelector extends TimeModifiers {
  readonly kind: "vector-selector";
  /** The metric name before the braces, if it stands there; it is also the last matcher. */
  readonly name: string | undefined;
  readonly matchers: readonly Matcher[];
  /** Rates with their ends moved onto samples, or between them. */
  readonly anchored: boolean;
  readonly smoothed: boolean;
  readonly position: Position;
}

/** A range of samples. What offset, @, anchored and smoothed say about it is kept in the selector. */
export interface MatrixSelector {
  readonly kind: "matrix-selector";
  readonly selector: VectorSelector;
  readonly range: Duration;
  readonly position: Position;
}

export interface Subquery extends TimeModifiers {
  readonly kind: "subquery";
  readonly expression: Expression;
  readonly range: Duration;
  /** Absent: the evaluation interval that the server uses for rules. */
  readonly step: Duration | undefined;
  readonly position: Position;
}

/**
 * A length of time. What depends on the query's step and range is known only once the query runs. Numbers are seconds.
 */
export type Duration = NumberLiteral | DurationParen | DurationNegation | DurationBinary | DurationOfQuery;

export interface DurationParen {
  readonly kind: "duration-paren";
  readonly duration: Duration;
  readonly position: Position;
}

export interface DurationNegation {
  readonly kind: "duration-negated";
  readonly duration: Duration;
  readonly position: Position;
}

export interface DurationBinary {
  readonly kind: "duration-binary";
  readonly operator: "+" | "-" | "*" | "/" | "%" | "^" | "min_of" | "max_of";
  readonly left: Duration;
  readonly right: Duration;
  readonly position: Position;
}

/** `step()` or `range()` of the query. */
export interface DurationOfQuery {
  readonly kind: "duration-of-query";
  readonly what: "step" | "range";
  readonly position: Position;
}

/** The type of a node's value, at a glance: where it follows from the operands, the parser has noted it. */
export function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case "number":
      return "scalar";
    case "string":
      return "string";
    case "vector-selector":
    case "aggregate":
      return "vector";
    case "matrix-selector":
    case "subquery":
      return "matrix";
    default:
      return expression.type;
  }
}
