/** Operators that change each value by itself: functions of one value, negation, arithmetic with a scalar. */
import { assert } from "../../../base/assert.ts";
import { isAbsent, setAbsent, wordsOf } from "../absent.ts";
import { calculate, isComparison } from "../functions/arithmetic.ts";
import type { BinaryOperator } from "../functions/arithmetic.ts";
import { ELEMENTWISE } from "../functions/elementwise.ts";
import { MappedRows } from "./operator.ts";
import type { Execution, Rows, VectorOperator } from "./operator.ts";
import { dropName } from "./relabel.ts";
import { stepSeconds } from "./scalar.ts";

/** `abs(v)`, `clamp(v, min, max)` and the like: every parameter is a column of its values at each step. */
export function applyFunction(
  name: string,
  input: VectorOperator,
  parameters: readonly Float64Array[],
  execution: Execution,
): VectorOperator {
  const apply = ELEMENTWISE.get(name);
  assert(apply !== undefined, `no such function: ${name}`);
  const first = parameters[0] ?? new Float64Array(execution.grid.count);
  const second = parameters[1] ?? first;
  // No value lies between bounds that are the wrong way round, so there is none to answer.
  const isEmptyAt = name === "clamp" ? first.map((min, step) => (second[step]! < min ? 1 : 0)) : undefined;
  const mapped = new MappedRows(input, input.series, (rows) =>
    eachPresent(rows, execution, (value, step, cell, words) => {
      if (isEmptyAt?.[step] === 1) setAbsent(words, cell);
      else rows.values[cell] = apply(value, first[step]!, second[step]!);
    }),
  );
  return dropName(mapped, execution);
}

export const negate = (input: VectorOperator, execution: Execution): VectorOperator =>
  dropName(
    new MappedRows(input, input.series, (rows) =>
      eachPresent(rows, execution, (value, _, cell) => (rows.values[cell] = -value)),
    ),
    execution,
  );

/** The time of the step wherever there is a value: `timestamp` of anything but a selector. */
export function stepTimes(input: VectorOperator, execution: Execution): VectorOperator {
  const seconds = stepSeconds(execution.grid);
  const mapped = new MappedRows(input, input.series, (rows) =>
    eachPresent(rows, execution, (_, step, cell) => (rows.values[cell] = seconds[step]!)),
  );
  return dropName(mapped, execution);
}

export interface ScalarOperand {
  readonly values: Float64Array;
  readonly side: "left" | "right";
}

/**
 * A vector and a scalar. Comparisons drop what does not hold, and keep the vector's value whichever side it is on; with
 * `returnBool` they yield 0 or 1 instead. Whatever yields a new value loses the metric's name.
 */
export function withScalar(
  operator: BinaryOperator,
  returnBool: boolean,
  input: VectorOperator,
  scalar: ScalarOperand,
  execution: Execution,
): VectorOperator {
  const filters = isComparison(operator) && !returnBool;
  const mapped = new MappedRows(input, input.series, (rows) =>
    eachPresent(rows, execution, (value, step, cell, words) => {
      const operand = scalar.values[step]!;
      const result =
        scalar.side === "right" ? calculate(operator, value, operand) : calculate(operator, operand, value);
      if (!filters) rows.values[cell] = result;
      else if (result === 0) setAbsent(words, cell);
    }),
  );
  return filters ? mapped : dropName(mapped, execution);
}

type Visit = (value: number, step: number, cell: number, words: Uint32Array) => void;

function eachPresent({ count, values }: Rows, { grid, budget }: Execution, visit: Visit): void {
  budget.check();
  const words = wordsOf(values);
  for (let row = 0, cell = 0; row < count; row++)
    for (let step = 0; step < grid.count; step++, cell++)
      if (!isAbsent(words, cell)) visit(values[cell]!, step, cell, words);
}
