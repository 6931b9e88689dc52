/** Scalars: one column, with a value at every step. */
import { isAbsent, wordsOf } from "../absent.ts";
import { calculate } from "../functions/arithmetic.ts";
import type { ScalarNode, StepGrid, VectorNode } from "../plan/node.ts";
import { allocateRows, rowsPerBatch } from "./operator.ts";
import type { Execution, Rows, VectorOperator } from "./operator.ts";
import type { Cells } from "./sample-reader.ts";

export type BuildVector = (node: VectorNode, execution: Execution) => VectorOperator;

/** The value of a scalar at each step. Vectors below it are made by `buildVector`. */
export function evaluateScalar(node: ScalarNode, execution: Execution, buildVector: BuildVector): Float64Array {
  const { grid } = execution;
  const evaluate = (child: ScalarNode) => evaluateScalar(child, execution, buildVector);
  switch (node.kind) {
    case "number":
      return new Float64Array(grid.count).fill(node.value);
    case "time":
      return stepSeconds(grid);
    case "scalar-negate":
      return evaluate(node.input).map((value) => -value);
    case "scalar-binary": {
      const right = evaluate(node.right);
      return evaluate(node.left).map((left, step) => calculate(node.operator, left, right[step]!));
    }
    case "scalar-of":
      return onlyValues(buildVector(node.input, execution), execution);
    case "scalar-invariant": {
      const once = evaluateScalar(node.input, { ...execution, grid: firstStep(grid) }, buildVector);
      return new Float64Array(grid.count).fill(once[0]!);
    }
  }
}

export const firstStep = (grid: StepGrid): StepGrid => ({ ...grid, count: 1 });

export const stepSeconds = ({ startMs, stepMs, count }: StepGrid): Float64Array =>
  Float64Array.from({ length: count }, (_, step) => (startMs + step * stepMs) / 1000);

/** At each step the value of the one series that has any; NaN when none or several have. */
function onlyValues(input: VectorOperator, { grid, budget }: Execution): Float64Array {
  const only = new Float64Array(grid.count).fill(NaN);
  const found = new Uint8Array(grid.count);
  for (let rows = input.next(); rows !== undefined; rows = input.next()) {
    budget.check();
    const words = wordsOf(rows.values);
    for (let cell = 0; cell < rows.count * grid.count; cell++) {
      if (isAbsent(words, cell)) continue;
      const step = cell % grid.count;
      only[step] = found[step] === 0 ? rows.values[cell]! : NaN;
      found[step] = 1;
    }
  }
  return only;
}

/** A step-invariant vector: its first step, at every step. */
export class RepeatedRows implements VectorOperator {
  readonly series;
  readonly #input: VectorOperator;
  readonly #stepCount: number;
  readonly #repeated: Cells;
  /** The input's batch, of which rows from `#row` on are still to be repeated: it has more rows than fit one of ours. */
  #once: Rows | undefined;
  #row = 0;

  constructor(input: VectorOperator, execution: Execution) {
    this.series = input.series;
    this.#input = input;
    this.#stepCount = execution.grid.count;
    this.#repeated = allocateRows(Math.min(rowsPerBatch(this.#stepCount), input.series.sets.length), execution);
  }

  next(): Rows | undefined {
    if (this.#once === undefined || this.#row === this.#once.count) {
      this.#once = this.#input.next();
      this.#row = 0;
    }
    if (this.#once === undefined) return undefined;
    const first = this.#row;
    const count = Math.min(rowsPerBatch(this.#stepCount), this.#once.count - first);
    this.#row += count;
    const [from, to] = [wordsOf(this.#once.values), wordsOf(this.#repeated)];
    for (let row = 0; row < count; row++)
      for (let cell = row * this.#stepCount; cell < (row + 1) * this.#stepCount; cell++) {
        to[2 * cell] = from[2 * (first + row)]!;
        to[2 * cell + 1] = from[2 * (first + row) + 1]!;
      }
    return { first: this.#once.first + first, count, values: this.#repeated.subarray(0, count * this.#stepCount) };
  }
}
