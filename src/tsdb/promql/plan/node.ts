/**
 * The logical plan: what a query computes, with everything resolved that the query's text leaves open (times, defaults,
 * names of labels to keep), and nothing said yet of how. A plan is a tree of plain data; plan/build.ts makes it from the
 * syntax tree, operators/build.ts makes operators from it, plan/text.ts prints it.
 *
 * Types: a scalar node has one value per step; a vector node has series, each with a value or none per step.
 */
import type { Matcher } from "../../model/matcher.ts";
import type { BinaryOperator } from "../functions/arithmetic.ts";
import type { Projection } from "../label-sets.ts";

/** Which series are read, and when relative to a step. Two selections with equal fields are one. */
export interface Selection {
  readonly matchers: readonly Matcher[];
  /** Subtracted from the time of each step, or from `atMs`. */
  readonly offsetMs: number;
  /** The one time that is read whatever the step. */
  readonly atMs: number | undefined;
}

export interface NumberNode {
  readonly kind: "number";
  readonly value: number;
}
/** Seconds since the epoch at each step. */
export interface TimeNode {
  readonly kind: "time";
}
export interface ScalarBinaryNode {
  readonly kind: "scalar-binary";
  readonly operator: BinaryOperator;
  readonly left: ScalarNode;
  readonly right: ScalarNode;
}
export interface ScalarNegateNode {
  readonly kind: "scalar-negate";
  readonly input: ScalarNode;
}
/** The value of the only series at a step, otherwise NaN. */
export interface ScalarOfNode {
  readonly kind: "scalar-of";
  readonly input: VectorNode;
}
export interface ScalarInvariantNode {
  readonly kind: "scalar-invariant";
  readonly input: ScalarNode;
}
export type ScalarNode =
  | NumberNode
  | TimeNode
  | ScalarBinaryNode
  | ScalarNegateNode
  | ScalarOfNode
  | ScalarInvariantNode;

/** The newest sample of each series in the lookback window, or the time of that sample in seconds. */
export interface SelectNode {
  readonly kind: "select";
  readonly selection: Selection;
  readonly yields: "value" | "timestamp";
}
/** A function of the samples in a window before each step. */
export interface WindowNode {
  readonly kind: "window";
  readonly function: string;
  readonly rangeMs: number;
  readonly selection: Selection;
  /** The quantile of quantile_over_time, the seconds ahead of predict_linear. */
  readonly parameter: ScalarNode | undefined;
  /** Where the range selector stands in the query, for annotations. */
  readonly position: number;
}
export interface ElementwiseNode {
  readonly kind: "elementwise";
  readonly function: string;
  readonly input: VectorNode;
  readonly parameters: readonly ScalarNode[];
}
export interface NegateNode {
  readonly kind: "negate";
  readonly input: VectorNode;
}
/** The time of the step, in seconds, wherever the input has a value. */
export interface StepTimeNode {
  readonly kind: "step-time";
  readonly input: VectorNode;
}
/** One series without labels. */
export interface VectorOfNode {
  readonly kind: "vector-of";
  readonly input: ScalarNode;
}
export interface VectorScalarNode {
  readonly kind: "vector-scalar";
  readonly operator: BinaryOperator;
  /** Comparisons yield 0 or 1 instead of dropping what does not hold. */
  readonly returnBool: boolean;
  readonly vector: VectorNode;
  readonly scalar: ScalarNode;
  readonly scalarSide: "left" | "right";
}
/** One-to-one matching of two vectors. */
export interface JoinNode {
  readonly kind: "join";
  readonly operator: BinaryOperator;
  readonly returnBool: boolean;
  readonly left: VectorNode;
  readonly right: VectorNode;
  /** True for `on (labels)`, false for `ignoring (labels)`. */
  readonly on: boolean;
  readonly labels: readonly string[];
}
export type AggregateOperator = "sum" | "avg" | "min" | "max" | "count" | "group" | "stddev" | "stdvar" | "quantile";
export interface AggregateNode {
  readonly kind: "aggregate";
  readonly operator: AggregateOperator;
  readonly grouping: Projection;
  readonly input: VectorNode;
  readonly parameter: ScalarNode | undefined;
  /** Where the parameter stands in the query, for annotations. */
  readonly position: number;
}
/** The k series with the largest or smallest values of each group, at each step. */
export interface RankNode {
  readonly kind: "rank";
  readonly operator: "topk" | "bottomk";
  readonly grouping: Projection;
  readonly input: VectorNode;
  readonly count: ScalarNode;
}
/** Evaluated once, at the first step, and repeated for all. */
export interface InvariantNode {
  readonly kind: "invariant";
  readonly input: VectorNode;
}
export type VectorNode =
  | SelectNode
  | WindowNode
  | ElementwiseNode
  | NegateNode
  | StepTimeNode
  | VectorOfNode
  | VectorScalarNode
  | JoinNode
  | AggregateNode
  | RankNode
  | InvariantNode;

/** The samples in a window themselves; only as the result of an instant query. */
export interface SamplesNode {
  readonly kind: "samples";
  readonly rangeMs: number;
  readonly selection: Selection;
}
export interface StringNode {
  readonly kind: "string";
  readonly value: string;
}
export type PlanNode = ScalarNode | VectorNode | SamplesNode | StringNode;

export const isScalar = (node: PlanNode): node is ScalarNode => SCALAR_KINDS.has(node.kind);

const SCALAR_KINDS: ReadonlySet<PlanNode["kind"]> = new Set([
  "number",
  "time",
  "scalar-binary",
  "scalar-negate",
  "scalar-of",
  "scalar-invariant",
]);

/** The steps of a query: `count` of them, from `startMs`, `stepMs` apart. An instant query has one. */
export interface StepGrid {
  readonly startMs: number;
  readonly stepMs: number;
  readonly count: number;
}
