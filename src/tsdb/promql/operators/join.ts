/**
 * One-to-one matching of two vectors. Which series can meet is known before any value: both sides are projected to the
 * labels they are matched by, and what is left is compared as one number. Whether a match is ambiguous is a question of
 * each step, because only series that have a value there take part.
 */
import { TsdbError } from "../../../base/errors.ts";
import { quote } from "../../model/labels.ts";
import type { LabelSet } from "../../model/labels.ts";
import { fillAbsent, isAbsent, wordsOf } from "../absent.ts";
import { calculate, isComparison } from "../functions/arithmetic.ts";
import { WITHOUT_METADATA, projection } from "../label-sets.ts";
import type { JoinNode } from "../plan/node.ts";
import { HeldRows, allocateRows, holdAll } from "./operator.ts";
import type { Execution, SeriesList, VectorOperator } from "./operator.ts";
import { mergeEqual } from "./relabel.ts";
import type { Cells } from "./sample-reader.ts";

export function join(
  node: JoinNode,
  left: VectorOperator,
  right: VectorOperator,
  execution: Execution,
): VectorOperator {
  return mergeEqual(new JoinedRows(node, left, right, execution), execution);
}

/** One row for each series on the left, in its order. */
class JoinedRows implements VectorOperator {
  readonly series: SeriesList;
  readonly #node: JoinNode;
  readonly #left: VectorOperator;
  readonly #right: VectorOperator;
  readonly #execution: Execution;
  readonly #leftSignatures: Uint32Array;
  readonly #rightSignatures: Uint32Array;
  #joined: HeldRows | undefined;

  constructor(node: JoinNode, left: VectorOperator, right: VectorOperator, execution: Execution) {
    const { sets } = execution;
    const matchedBy = projection(node.on, node.labels);
    this.#leftSignatures = sets.project(left.series.sets, matchedBy);
    this.#rightSignatures = sets.project(right.series.sets, matchedBy);
    this.series = resultSeries(node, left.series.sets, execution);
    this.#node = node;
    this.#left = left;
    this.#right = right;
    this.#execution = execution;
  }

  next() {
    this.#joined ??= new HeldRows(this.series, this.#join(), this.#execution.grid.count);
    return this.#joined.next();
  }

  #join(): Cells {
    const { grid, budget } = this.#execution;
    const { operator, returnBool } = this.#node;
    const filters = isComparison(operator) && !returnBool;
    // The smaller memory first: the right side is folded into one row per signature, and is gone then.
    const { values: right, rowOf: rightRowOf, duplicateAt } = this.#foldRight();
    const rightWords = wordsOf(right);
    const joined = allocateRows(this.series.sets.length, this.#execution);
    fillAbsent(joined);
    const matched = new Uint8Array(right.length);
    for (let rows = this.#left.next(); rows !== undefined; rows = this.#left.next()) {
      budget.check();
      const words = wordsOf(rows.values);
      for (let row = 0; row < rows.count; row++) {
        const rightRow = rightRowOf.get(this.#leftSignatures[rows.first + row]!);
        this.#refuseDuplicates(duplicateAt, words, row);
        if (rightRow === undefined) continue;
        for (let step = 0; step < grid.count; step++) {
          const cell = row * grid.count + step;
          const rightCell = rightRow * grid.count + step;
          if (isAbsent(words, cell) || isAbsent(rightWords, rightCell)) continue;
          if (matched[rightCell] === 1) throw manyToOne();
          matched[rightCell] = 1;
          const value = rows.values[cell]!;
          const result = calculate(operator, value, right[rightCell]!);
          if (filters && result === 0) continue;
          joined[rows.first * grid.count + cell] = filters ? value : result;
        }
      }
    }
    return joined;
  }

  /** One row per signature of the right side, and where two series claim the same cell. */
  #foldRight(): FoldedSide {
    const { grid, budget } = this.#execution;
    const duplicateAt: FoldedSide["duplicateAt"] = new Map();
    const rowOf = new Map<number, number>();
    for (const signature of this.#rightSignatures) if (!rowOf.has(signature)) rowOf.set(signature, rowOf.size);
    if (rowOf.size === this.#rightSignatures.length)
      return { values: holdAll(this.#right, this.#execution), rowOf, duplicateAt };

    const values = allocateRows(rowOf.size, this.#execution);
    fillAbsent(values);
    const words = wordsOf(values);
    const cameFrom = new Uint32Array(values.length);
    for (let rows = this.#right.next(); rows !== undefined; rows = this.#right.next()) {
      budget.check();
      const rowWords = wordsOf(rows.values);
      for (let cell = 0; cell < rows.count * grid.count; cell++) {
        if (isAbsent(rowWords, cell)) continue;
        const series = rows.first + Math.floor(cell / grid.count);
        const step = cell % grid.count;
        const target = rowOf.get(this.#rightSignatures[series]!)! * grid.count + step;
        if (!isAbsent(words, target)) duplicateAt.set(step, [cameFrom[target]!, series]);
        values[target] = rows.values[cell]!;
        cameFrom[target] = series;
      }
    }
    return { values, rowOf, duplicateAt };
  }

  /** Duplicates on the right matter only at steps where the left side has anything to match. */
  #refuseDuplicates(duplicateAt: FoldedSide["duplicateAt"], words: Uint32Array, row: number): void {
    for (const [step, [one, other]] of duplicateAt) {
      if (isAbsent(words, row * this.#execution.grid.count + step)) continue;
      const { sets } = this.#execution;
      const group = labelsText(sets.labels(this.#rightSignatures[one]!));
      const pair = [one, other].map((series) => labelsText(sets.labels(this.#right.series.sets[series]!))).sort();
      throw new TsdbError(
        "QUERY_EXECUTION",
        `found duplicate series for the match group ${group} on the right hand-side of the operation: ` +
          `[${pair.join(", ")}];many-to-many matching not allowed: matching labels must be unique on one side`,
      );
    }
  }
}

interface FoldedSide {
  readonly values: Cells;
  readonly rowOf: ReadonlyMap<number, number>;
  /** Step to two series of the right side that share a signature and both have a value there. */
  readonly duplicateAt: Map<number, readonly [number, number]>;
}

/**
 * Matching by `on` leaves those labels, `ignoring` all but those. The metric's name stays only where the value stays that
 * metric's: in comparisons that filter.
 */
function resultSeries(node: JoinNode, leftSets: Uint32Array, { sets, delayedNameRemoval }: Execution): SeriesList {
  const { operator, returnBool, on, labels } = node;
  const losesName = !isComparison(operator) || (returnBool && !delayedNameRemoval);
  const named = losesName ? sets.project(leftSets, WITHOUT_METADATA) : leftSets;
  return {
    sets: sets.project(named, { keepNamed: on, names: labels }),
    dropsName: new Uint8Array(leftSets.length).fill(returnBool ? 1 : 0),
  };
}

const manyToOne = (): TsdbError =>
  new TsdbError(
    "QUERY_EXECUTION",
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
  );

/** As Prometheus prints labels in messages: the metric's name is a label like any other. */
const labelsText = (labels: LabelSet): string =>
  `{${labels.map(([name, value]) => `${/^[a-zA-Z_]\w*$/.test(name) ? name : quote(name)}=${quote(value)}`).join(", ")}}`;
