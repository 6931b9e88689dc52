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
  return changed(input, execution, true, ({ count, values }, stepCount) => {
    const words = wordsOf(values);
    for (let row = 0, cell = 0; row < count; row++)
      for (let step = 0; step < stepCount; step++, cell++)
        if (isEmptyAt?.[step] === 1) setAbsent(words, cell);
        else if (!isAbsent(words, cell)) values[cell] = apply(values[cell]!, first[step]!, second[step]!);
  });
}

export const negate = (input: VectorOperator, execution: Execution): VectorOperator =>
  changed(input, execution, true, ({ count, values }, stepCount) => {
    const words = wordsOf(values);
    for (let cell = 0; cell < count * stepCount; cell++) if (!isAbsent(words, cell)) values[cell] = -values[cell]!;
  });

/** The time of the step wherever there is a value: `timestamp` of anything but a selector. */
export function stepTimes(input: VectorOperator, execution: Execution): VectorOperator {
  const seconds = stepSeconds(execution.grid);
  return changed(input, execution, true, ({ count, values }, stepCount) => {
    const words = wordsOf(values);
    for (let row = 0, cell = 0; row < count; row++)
      for (let step = 0; step < stepCount; step++, cell++) if (!isAbsent(words, cell)) values[cell] = seconds[step]!;
  });
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
  return changed(input, execution, !filters, ({ count, values }, stepCount) => {
    const words = wordsOf(values);
    for (let row = 0, cell = 0; row < count; row++)
      for (let step = 0; step < stepCount; step++, cell++) {
        if (isAbsent(words, cell)) continue;
        const value = values[cell]!;
        const operand = scalar.values[step]!;
        const result =
          scalar.side === "right" ? calculate(operator, value, operand) : calculate(operator, operand, value);
        if (!filters) values[cell] = result;
        else if (result === 0) setAbsent(words, cell);
      }
  });
}

/** @param change changes a batch in place: a loop of its own, because a call for every cell would box its numbers */
function changed(
  input: VectorOperator,
  execution: Execution,
  losesName: boolean,
  change: (rows: Rows, stepCount: number) => void,
): VectorOperator {
  const mapped = new MappedRows(input, input.series, (rows) => {
    execution.budget.check();
    change(rows, execution.grid.count);
  });
  return losesName ? dropName(mapped, execution) : mapped;
}
