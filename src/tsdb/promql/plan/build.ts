/**
 * From the syntax tree to the plan. Here everything is decided that does not need data: which functions exist, what times
 * `@` and offset mean, what is constant, and what is the same at every step and so computed once.
 *
 * What cannot be computed yet is refused here, by name: a query is answered as Prometheus answers it or not at all.
 */
import { assert } from "../../../base/assert.ts";
import { TsdbError } from "../../../base/errors.ts";
import type {
  AggregateExpression,
  BinaryExpression,
  CallExpression,
  Expression,
  MatrixSelector,
  VectorSelector,
} from "../ast.ts";
import { calculate, isArithmetic } from "../functions/arithmetic.ts";
import type { BinaryOperator } from "../functions/arithmetic.ts";
import { ELEMENTWISE } from "../functions/elementwise.ts";
import { WINDOW_FUNCTIONS } from "../functions/windows.ts";
import { projection } from "../label-sets.ts";
import { offsetMs, positiveDurationMs } from "./durations.ts";
import type { QuerySpan } from "./durations.ts";
import { isScalar } from "./node.ts";
import type { PlanNode, ScalarNode, Selection, StepGrid, VectorNode } from "./node.ts";

/** The steps of a query, and what it calls its end and step itself. */
export interface QueryTimes extends StepGrid {
  /** `end()`; the last step comes no later. */
  readonly endMs: number;
  /** Then `step()` and `range()` are 0. */
  readonly isInstant: boolean;
}

/** @throws TsdbError NOT_YET_SUPPORTED; QUERY_LIMIT when it is too deep; BAD_QUERY when a computed duration is no length of time */
export function buildPlan(expression: Expression, times: QueryTimes): PlanNode {
  const builder = new PlanBuilder(times);
  return builder.once(builder.build(expression));
}

/**
 * Operators that may be stacked on each other. The parser reads chains such as a + b + c + ... of any length, but the plan,
 * and what runs it, recurse along them.
 */
export const PLAN_DEPTH_MAX = 1000;

/** A node, and whether it is the same at every step. */
interface Planned {
  readonly node: PlanNode;
  readonly isInvariant: boolean;
}

class PlanBuilder {
  readonly #times: QueryTimes;
  readonly #span: QuerySpan;
  #depth = 0;

  constructor(times: QueryTimes) {
    const { startMs, stepMs, endMs, isInstant } = times;
    this.#times = times;
    this.#span = { stepMs: isInstant ? 0 : stepMs, rangeMs: endMs - startMs };
  }

  /** What is the same at every step, computed once; anything else as it is. */
  once({ node, isInvariant }: Planned): PlanNode {
    if (!isInvariant || this.#times.count <= 1) return node;
    if (node.kind === "number" || node.kind === "string" || node.kind === "samples") return node;
    return isScalar(node) ? { kind: "scalar-invariant", input: node } : { kind: "invariant", input: node };
  }

  build(expression: Expression): Planned {
    if (++this.#depth > PLAN_DEPTH_MAX)
      throw new TsdbError("QUERY_LIMIT", `query stacks more than ${PLAN_DEPTH_MAX} operators on each other`);
    const planned = this.#build(expression);
    this.#depth--;
    return planned;
  }

  #build(expression: Expression): Planned {
    switch (expression.kind) {
      case "number":
        return constant(expression.value);
      case "string":
        return { node: { kind: "string", value: expression.value }, isInvariant: true };
      case "paren":
        return this.build(expression.expression);
      case "unary":
        return expression.operator === "-"
          ? negated(this.build(expression.expression))
          : this.build(expression.expression);
      case "binary":
        return this.#binary(expression);
      case "aggregate":
        return this.#aggregate(expression);
      case "call":
        return this.#call(expression);
      case "vector-selector":
        return this.#select(expression, "value");
      case "matrix-selector": {
        const { selection, isInvariant, rangeMs } = this.#range(expression);
        return { node: { kind: "samples", rangeMs, selection }, isInvariant };
      }
      case "subquery":
        throw notYetSupported("subquery");
    }
  }

  #select(selector: VectorSelector, yields: "value" | "timestamp"): Planned {
    const selection = this.#selection(selector);
    return { node: { kind: "select", selection, yields }, isInvariant: selection.atMs !== undefined };
  }

  #range(selector: MatrixSelector): { selection: Selection; rangeMs: number; isInvariant: boolean } {
    const selection = this.#selection(selector.selector);
    return {
      selection,
      rangeMs: positiveDurationMs(selector.range, this.#span),
      isInvariant: selection.atMs !== undefined,
    };
  }

  #selection(selector: VectorSelector): Selection {
    if (selector.anchored) throw notYetSupported("anchored");
    if (selector.smoothed) throw notYetSupported("smoothed");
    const { startMs, endMs } = this.#times;
    const atMs = selector.at === "start" ? startMs : selector.at === "end" ? endMs : selector.at;
    const offset = selector.offset === undefined ? 0 : offsetMs(selector.offset, this.#span);
    return { matchers: selector.matchers, offsetMs: offset, atMs };
  }

  #aggregate(expression: AggregateExpression): Planned {
    const { operator, grouping, without } = expression;
    const input = this.build(expression.expression);
    const vector = asVector(input.node);
    const by = projection(!without, grouping);
    // The parameter is computed with the aggregation, so it is read at the first step if the input is the same at all.
    const parameter = () => expression.parameter && asScalar(this.once(this.build(expression.parameter)));
    switch (operator) {
      case "topk":
      case "bottomk":
        return same(input, { kind: "rank", operator, grouping: by, input: vector, count: countOf(parameter()) });
      case "sum":
      case "avg":
      case "min":
      case "max":
      case "count":
      case "group":
      case "stddev":
      case "stdvar":
      case "quantile": {
        const position = expression.parameter?.position.start ?? 0;
        return same(input, {
          kind: "aggregate",
          operator,
          grouping: by,
          input: vector,
          parameter: parameter(),
          position,
        });
      }
      default:
        throw notYetSupported(operator);
    }
  }

  #binary(expression: BinaryExpression): Planned {
    const { operator, returnBool, matching } = expression;
    if (!isArithmetic(operator)) throw notYetSupported(operator);
    if (matching?.card === "many-to-one") throw notYetSupported("group_left");
    if (matching?.card === "one-to-many") throw notYetSupported("group_right");
    if (matching?.fillLeft !== undefined || matching?.fillRight !== undefined) throw notYetSupported("fill");
    const left = this.build(expression.left);
    const right = this.build(expression.right);
    const isInvariant = left.isInvariant && right.isInvariant;
    // Sides of a whole that is computed once need no wrapping of their own.
    const [leftNode, rightNode] = isInvariant ? [left.node, right.node] : [this.once(left), this.once(right)];
    return { node: binaryNode(operator, returnBool, leftNode, rightNode, matching), isInvariant };
  }

  #call(expression: CallExpression): Planned {
    const { name, arguments: given } = expression;
    const window = WINDOW_FUNCTIONS.get(name);
    if (window !== undefined) return this.#window(name, window.parameter, given);
    if (ELEMENTWISE.has(name)) {
      const [vector, ...parameters] = given.map((argument) => this.build(argument));
      if (name === "round" && parameters.length === 0) parameters.push(constant(1));
      return this.#combine([vector!, ...parameters], ([input, ...rest]) => ({
        kind: "elementwise",
        function: name,
        input: asVector(input!),
        parameters: rest.map(asScalar),
      }));
    }
    switch (name) {
      case "time":
        return { node: { kind: "time" }, isInvariant: false };
      case "pi":
        return constant(Math.PI);
      case "start":
        return constant(this.#times.startMs / 1000);
      case "end":
        return constant(this.#times.endMs / 1000);
      case "range":
        return constant(this.#span.rangeMs / 1000);
      case "step":
        return constant(this.#span.stepMs / 1000);
      case "scalar":
        return this.#combine([this.build(given[0]!)], ([input]) => ({ kind: "scalar-of", input: asVector(input!) }));
      case "vector":
        return this.#combine([this.build(given[0]!)], ([input]) => ({ kind: "vector-of", input: asScalar(input!) }));
      case "timestamp":
        return this.#timestamp(withoutParens(given[0]!));
      default:
        throw notYetSupported(name);
    }
  }

  #window(name: string, parameterAt: "first" | "second" | undefined, given: readonly Expression[]): Planned {
    const rangeIndex = parameterAt === "first" ? 1 : 0;
    const range = withoutParens(given[rangeIndex]!);
    if (range.kind === "subquery") throw notYetSupported("subquery");
    assert(range.kind === "matrix-selector", "the parser has checked the types of arguments");
    const { selection, rangeMs, isInvariant } = this.#range(range);
    // Annotations point at the first argument, whatever it is.
    const node = { kind: "window", function: name, rangeMs, selection, position: given[0]!.position.start } as const;
    if (parameterAt === undefined) return { node: { ...node, parameter: undefined }, isInvariant };
    const parameter = this.build(given[1 - rangeIndex]!);
    if (isInvariant && parameter.isInvariant)
      return { node: { ...node, parameter: asScalar(parameter.node) }, isInvariant };
    return { node: { ...node, parameter: asScalar(this.once(parameter)) }, isInvariant: false };
  }

  /** The time of each sample when its argument is a selector, otherwise that of the step. */
  #timestamp(argument: Expression): Planned {
    if (argument.kind === "vector-selector") return this.#select(argument, "timestamp");
    const input = this.once(this.build(argument));
    return { node: { kind: "step-time", input: asVector(input) }, isInvariant: false };
  }

  /** A function of several inputs: computed once if all of them are, otherwise those of them that can be. */
  #combine(inputs: readonly Planned[], make: (nodes: readonly PlanNode[]) => PlanNode): Planned {
    const isInvariant = inputs.every((input) => input.isInvariant);
    return { node: make(inputs.map((input) => (isInvariant ? input.node : this.once(input)))), isInvariant };
  }
}

const constant = (value: number): Planned => ({ node: { kind: "number", value }, isInvariant: true });

const same = ({ isInvariant }: Planned, node: PlanNode): Planned => ({ node, isInvariant });

function negated({ node, isInvariant }: Planned): Planned {
  if (node.kind === "number") return constant(-node.value);
  if (isScalar(node)) return { node: { kind: "scalar-negate", input: node }, isInvariant };
  return { node: { kind: "negate", input: asVector(node) }, isInvariant };
}

function binaryNode(
  operator: BinaryOperator,
  returnBool: boolean,
  left: PlanNode,
  right: PlanNode,
  matching: BinaryExpression["matching"],
): PlanNode {
  if (left.kind === "number" && right.kind === "number")
    return { kind: "number", value: calculate(operator, left.value, right.value) };
  if (isScalar(left) && isScalar(right)) return { kind: "scalar-binary", operator, left, right };
  if (isScalar(right))
    return { kind: "vector-scalar", operator, returnBool, vector: asVector(left), scalar: right, scalarSide: "right" };
  if (isScalar(left))
    return { kind: "vector-scalar", operator, returnBool, vector: asVector(right), scalar: left, scalarSide: "left" };
  const { on = false, labels = [] } = matching ?? {};
  return { kind: "join", operator, returnBool, left: asVector(left), right: asVector(right), on, labels };
}

const withoutParens = (expression: Expression): Expression =>
  expression.kind === "paren" ? withoutParens(expression.expression) : expression;

function asScalar(node: PlanNode): ScalarNode {
  assert(isScalar(node), "the parser has checked the types of operands");
  return node;
}

function countOf(parameter: ScalarNode | undefined): ScalarNode {
  assert(parameter !== undefined, "the parser has checked that topk and bottomk have a parameter");
  return parameter;
}

function asVector(node: PlanNode): VectorNode {
  assert(
    !isScalar(node) && node.kind !== "string" && node.kind !== "samples",
    "the parser has checked the types of operands",
  );
  return node;
}

const notYetSupported = (name: string): TsdbError => new TsdbError("NOT_YET_SUPPORTED", `not yet supported: ${name}`);
