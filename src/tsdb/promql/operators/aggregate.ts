/**
 * `sum by (...)` and its like. Which group a series belongs to is known from its labels before any value is read, so
 * each batch is added to the groups as it comes and forgotten: memory is that of groups times steps, whatever the number
 * of series. Only `quantile` must see all values of a group at once, and keeps them.
 */
import { fillAbsent, isAbsent, wordsOf } from "../absent.ts";
import { invalidQuantile } from "../annotations.ts";
import { accumulator } from "../functions/accumulators.ts";
import { quantile } from "../functions/quantile.ts";
import type { AggregateNode } from "../plan/node.ts";
import { HeldRows, allocateRows, holdAll, numbered } from "./operator.ts";
import type { Execution, SeriesList, VectorOperator } from "./operator.ts";
import type { Cells } from "./sample-reader.ts";

/** @param parameter the column of quantile's parameter */
export function aggregate(
  node: AggregateNode,
  parameter: Float64Array | undefined,
  input: VectorOperator,
  execution: Execution,
): VectorOperator {
  const groups = groupsOf(node, input.series, execution);
  if (node.operator === "quantile" && parameter !== undefined) warnOfQuantiles(parameter, node, execution);
  return new AggregatedRows(node, parameter, input, groups, execution);
}

interface Groups {
  readonly series: SeriesList;
  /** Row of the result for each series of the input. */
  readonly rowOf: Uint32Array;
}

function groupsOf({ grouping }: AggregateNode, { sets, dropsName }: SeriesList, execution: Execution): Groups {
  const { rowOf, sets: groupSets } = numbered(execution.sets.project(sets, grouping), execution.sets.count);
  const groupDropsName = new Uint8Array(groupSets.length);
  for (let i = 0; i < rowOf.length; i++) groupDropsName[rowOf[i]!]! |= dropsName[i]!;
  return { series: { sets: groupSets, dropsName: groupDropsName }, rowOf };
}

class AggregatedRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #node: AggregateNode;
  readonly #parameter: Float64Array | undefined;
  readonly #input: VectorOperator;
  readonly #rowOf: Uint32Array;
  readonly #execution: Execution;
  #aggregated: HeldRows | undefined;

  constructor(
    node: AggregateNode,
    parameter: Float64Array | undefined,
    input: VectorOperator,
    { series, rowOf }: Groups,
    execution: Execution,
  ) {
    this.series = series;
    this.#node = node;
    this.#parameter = parameter;
    this.#input = input;
    this.#rowOf = rowOf;
    this.#execution = execution;
  }

  next() {
    this.#aggregated ??= new HeldRows(this.series, this.#aggregate(), this.#execution.grid.count);
    return this.#aggregated.next();
  }

  #aggregate(): Cells {
    const { operator } = this.#node;
    return operator === "quantile" ? this.#quantiles() : operator === "sum" ? this.#sum() : this.#accumulate(operator);
  }

  #sum(): Cells {
    const { grid, budget, samples } = this.#execution;
    const sums = allocateRows(this.series.sets.length, this.#execution);
    const lost = allocateRows(this.series.sets.length, this.#execution);
    fillAbsent(sums);
    lost.fill(0);
    for (let rows = this.#input.next(); rows !== undefined; rows = this.#input.next()) {
      budget.check();
      samples.addRows(rows.values, this.#rowOf.subarray(rows.first, rows.first + rows.count), grid.count, sums, lost);
    }
    const words = wordsOf(sums);
    for (let cell = 0; cell < sums.length; cell++) if (!isAbsent(words, cell)) sums[cell] = sums[cell]! + lost[cell]!;
    return sums;
  }

  #accumulate(operator: Exclude<AggregateNode["operator"], "quantile" | "sum">): Cells {
    const { grid, budget } = this.#execution;
    const results = allocateRows(this.series.sets.length, this.#execution);
    const groups = accumulator(operator, results);
    for (let rows = this.#input.next(); rows !== undefined; rows = this.#input.next()) {
      budget.check();
      for (let row = 0; row < rows.count; row++) {
        const column = rows.values.subarray(row * grid.count, (row + 1) * grid.count);
        groups.add(column, this.#rowOf[rows.first + row]! * grid.count);
      }
    }
    groups.finish();
    return results;
  }

  #quantiles(): Cells {
    const { grid, budget } = this.#execution;
    const values = holdAll(this.#input, this.#execution);
    const words = wordsOf(values);
    const results = allocateRows(this.series.sets.length, this.#execution);
    fillAbsent(results);
    const members: number[][] = Array.from({ length: this.series.sets.length }, () => []);
    this.#rowOf.forEach((group, row) => members[group]!.push(row));
    for (const [group, rows] of members.entries()) {
      const present = new Float64Array(rows.length);
      for (let step = 0; step < grid.count; step++) {
        budget.check();
        let count = 0;
        for (const row of rows)
          if (!isAbsent(words, row * grid.count + step)) present[count++] = values[row * grid.count + step]!;
        if (count > 0)
          results[group * grid.count + step] = quantile(this.#parameter?.[step] ?? NaN, present.subarray(0, count));
      }
    }
    return results;
  }
}

/** One warning for each way in which quantiles are out of range, however many steps they are. */
function warnOfQuantiles(quantiles: Float64Array, { position }: AggregateNode, { annotations }: Execution): void {
  const max = quantiles.reduce((a, b) => Math.max(a, b), -Number.MAX_VALUE);
  const min = quantiles.reduce((a, b) => Math.min(a, b), Number.MAX_VALUE);
  if (Number.isNaN(max)) annotations.warn(invalidQuantile(NaN), position);
  if (max > 1) annotations.warn(invalidQuantile(max), position);
  if (min < 0) annotations.warn(invalidQuantile(min), position);
}
