/**
 * `topk` and `bottomk`: at each step the k series of a group with the largest or smallest values keep them, all others
 * have none there. An instant result is ordered by group, then from the best value down; NaN ranks last.
 */
import { TsdbError } from "../../../base/errors.ts";
import { fillAbsent, isAbsent, wordsOf } from "../absent.ts";
import { generalText } from "../number-text.ts";
import type { RankNode } from "../plan/node.ts";
import { HeldRows, allocateRows, holdAll } from "./operator.ts";
import type { Execution, SeriesList, VectorOperator } from "./operator.ts";
import type { Cells } from "./sample-reader.ts";

export function rank(
  node: RankNode,
  counts: Float64Array,
  input: VectorOperator,
  execution: Execution,
): VectorOperator {
  if (counts.every((count) => count < 1))
    return new HeldRows(NO_SERIES, allocateRows(0, execution), execution.grid.count);
  for (const count of counts) checkCount(count);

  const { grid, sets, budget } = execution;
  const groupSets = sets.project(input.series.sets, node.grouping);
  const values = holdAll(input, execution);
  const words = wordsOf(values);
  const kept = allocateRows(groupSets.length, execution);
  fillAbsent(kept);
  const isBetter = node.operator === "topk" ? greater : less;
  let order: number[] = [];
  for (let step = 0; step < grid.count; step++) {
    budget.check();
    order = [];
    for (const members of presentByGroup(groupSets, words, step, grid.count)) {
      const ranked = best(members, Math.trunc(counts[step]!), (a, b) =>
        isBetter(values[a * grid.count + step]!, values[b * grid.count + step]!),
      );
      for (const row of ranked) kept[row * grid.count + step] = values[row * grid.count + step]!;
      order.push(...ranked);
    }
  }
  return grid.count === 1
    ? inOrder(input.series, kept, order, execution)
    : new HeldRows(input.series, kept, grid.count);
}

const NO_SERIES: SeriesList = { sets: new Uint32Array(0), dropsName: new Uint8Array(0) };

const INT64_END = 2 ** 63;

function checkCount(count: number): void {
  const refuse = (message: string): never => {
    throw new TsdbError("QUERY_EXECUTION", message);
  };
  if (Number.isNaN(count)) refuse("Parameter value is NaN");
  if (count <= -INT64_END) refuse(`Scalar value ${generalText(count)} underflows int64`);
  if (count >= INT64_END) refuse(`Scalar value ${generalText(count)} overflows int64`);
}

const greater = (a: number, b: number): boolean => a > b || (Number.isNaN(b) && !Number.isNaN(a));
const less = (a: number, b: number): boolean => a < b || (Number.isNaN(b) && !Number.isNaN(a));

/** The series of each group that have a value at a step, groups and series in their order of appearance. */
function presentByGroup(
  groupSets: Uint32Array,
  words: Uint32Array,
  step: number,
  stepCount: number,
): Iterable<number[]> {
  const groups = new Map<number, number[]>();
  groupSets.forEach((group, row) => {
    const members = groups.get(group) ?? [];
    groups.set(group, members);
    if (!isAbsent(words, row * stepCount + step)) members.push(row);
  });
  return groups.values();
}

/** The best `count` of `rows`, best first; among equals the earlier row wins. */
function best(rows: readonly number[], count: number, isBetter: (a: number, b: number) => boolean): number[] {
  if (count < 1) return [];
  return rows.toSorted((a, b) => (isBetter(a, b) ? -1 : isBetter(b, a) ? 1 : a - b)).slice(0, count);
}

function inOrder(
  { sets, dropsName }: SeriesList,
  values: Cells,
  order: readonly number[],
  execution: Execution,
): VectorOperator {
  const picked = allocateRows(order.length, execution);
  for (const [place, row] of order.entries()) picked[place] = values[row]!;
  const series = {
    sets: Uint32Array.from(order, (row) => sets[row]!),
    dropsName: Uint8Array.from(order, (row) => dropsName[row]!),
  };
  return new HeldRows(series, picked, 1);
}
