/** The one switch from plan nodes to operators. */
import type { VectorNode } from "../plan/node.ts";
import { aggregate } from "./aggregate.ts";
import { applyFunction, negate, stepTimes, withScalar } from "./elementwise.ts";
import { join } from "./join.ts";
import { HeldRows, allocateRows } from "./operator.ts";
import type { Execution, VectorOperator } from "./operator.ts";
import { rank } from "./rank.ts";
import { RepeatedRows, evaluateScalar, firstStep } from "./scalar.ts";
import { select, windowed } from "./scan.ts";

/** @throws TsdbError what reading storage or the query's limits throw; values are computed only as rows are asked for */
export function buildVector(node: VectorNode, execution: Execution): VectorOperator {
  const build = (child: VectorNode) => buildVector(child, execution);
  const scalar = (child: Parameters<typeof evaluateScalar>[0]) => evaluateScalar(child, execution, buildVector);
  switch (node.kind) {
    case "select":
      return select(node, execution);
    case "window":
      return windowed(node, node.parameter === undefined ? undefined : scalar(node.parameter), execution);
    case "elementwise":
      return applyFunction(node.function, build(node.input), node.parameters.map(scalar), execution);
    case "negate":
      return negate(build(node.input), execution);
    case "step-time":
      return stepTimes(build(node.input), execution);
    case "vector-of": {
      const row = allocateRows(1, execution);
      row.set(scalar(node.input));
      return new HeldRows(ONE_WITHOUT_LABELS, row, execution.grid.count);
    }
    case "vector-scalar": {
      const operand = { values: scalar(node.scalar), side: node.scalarSide };
      return withScalar(node.operator, node.returnBool, build(node.vector), operand, execution);
    }
    case "join":
      return join(node, build(node.left), build(node.right), execution);
    case "aggregate":
      return aggregate(
        node,
        node.parameter === undefined ? undefined : scalar(node.parameter),
        build(node.input),
        execution,
      );
    case "rank":
      return rank(node, scalar(node.count), build(node.input), execution);
    case "invariant": {
      const once = buildVector(node.input, { ...execution, grid: firstStep(execution.grid) });
      return new RepeatedRows(once, execution);
    }
  }
}

const ONE_WITHOUT_LABELS = { sets: Uint32Array.of(0), dropsName: Uint8Array.of(0) };
