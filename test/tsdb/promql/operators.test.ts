import fc from "fast-check";
import { expect, test } from "vitest";
import { wordsOf, isAbsent } from "../../../src/tsdb/promql/absent.ts";
import { QueryBudget, DEFAULT_LIMITS } from "../../../src/tsdb/promql/budget.ts";
import { Annotations } from "../../../src/tsdb/promql/annotations.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { LabelSets, projection } from "../../../src/tsdb/promql/label-sets.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import { KernelReader } from "../../../src/tsdb/promql/kernel-reader.ts";
import { aggregate } from "../../../src/tsdb/promql/operators/aggregate.ts";
import { withScalar } from "../../../src/tsdb/promql/operators/elementwise.ts";
import { join } from "../../../src/tsdb/promql/operators/join.ts";
import { HeldRows } from "../../../src/tsdb/promql/operators/operator.ts";
import type { Execution, VectorOperator } from "../../../src/tsdb/promql/operators/operator.ts";
import { rank } from "../../../src/tsdb/promql/operators/rank.ts";
import { mergeEqual } from "../../../src/tsdb/promql/operators/relabel.ts";
import { PrivateMemory } from "../../../src/tsdb/kernel/private-memory.ts";
import type { AggregateOperator, JoinNode, VectorNode } from "../../../src/tsdb/promql/plan/node.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { STALE, labelSet } from "../../support/fake-storage.ts";

/** One series and its cells; undefined is an absent one. */
interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly cells: readonly (number | undefined)[];
}

const memory = new PrivateMemory(loadKernelModule());

const NO_INPUT: VectorNode = { kind: "vector-of", input: { kind: "number", value: 0 } };

function executionOver(stepCount: number): Execution {
  const nothing = () => {
    throw new Error("no storage here");
  };
  const budget = new QueryBudget(DEFAULT_LIMITS, systemClock);
  return {
    grid: { startMs: 0, stepMs: 1000, count: stepCount },
    lookbackMs: 300_000,
    querier: { select: nothing, labelNames: nothing, labelValues: nothing, warnings: [], close() {} },
    sets: new LabelSets(new LabelTable()),
    samples: new KernelReader(memory, budget),
    budget,
    annotations: new Annotations(""),
    delayedNameRemoval: false,
  };
}

function rowsOf(rows: readonly Row[], { grid, sets, samples }: Execution): VectorOperator {
  const values = samples.allocate(rows.length * grid.count);
  rows.forEach(({ cells }, row) =>
    cells.forEach((value, step) => values.set(value === undefined ? STALE : [value], row * grid.count + step)),
  );
  const ids = rows.map(({ labels }) =>
    sets.intern(Uint32Array.from(labelSet(labels), ([name, value]) => sets.table.pairId(name, value))),
  );
  return new HeldRows({ sets: Uint32Array.from(ids), dropsName: new Uint8Array(rows.length) }, values, grid.count);
}

/** Label text to cells, in the operator's order. */
function read(operator: VectorOperator, { grid, sets }: Execution): [string, (number | undefined)[]][] {
  const table: [string, (number | undefined)[]][] = [];
  for (let rows = operator.next(); rows !== undefined; rows = operator.next()) {
    const words = wordsOf(rows.values);
    for (let row = 0; row < rows.count; row++) {
      const cells = Array.from({ length: grid.count }, (_, step) => row * grid.count + step);
      const labels = sets.labels(operator.series.sets[rows.first + row]!);
      table.push([
        labels.map((pair) => pair.join("=")).join(","),
        cells.map((cell) => (isAbsent(words, cell) ? undefined : rows.values[cell]!)),
      ]);
    }
  }
  return table;
}

const aggregated = (operator: AggregateOperator, rows: readonly Row[], by: readonly string[], parameter?: number) => {
  const execution = executionOver(rows[0]?.cells.length ?? 1);
  const node = {
    kind: "aggregate",
    operator,
    grouping: projection(true, by),
    input: NO_INPUT,
    parameter: undefined,
    position: 0,
  } as const;
  const column = parameter === undefined ? undefined : new Float64Array(execution.grid.count).fill(parameter);
  return read(aggregate(node, column, rowsOf(rows, execution), execution), execution);
};

const ROWS: readonly Row[] = [
  { labels: { job: "a", i: "1" }, cells: [1, undefined, 3] },
  { labels: { job: "b", i: "2" }, cells: [10, 20, undefined] },
  { labels: { job: "a", i: "3" }, cells: [5, undefined, NaN] },
];

test("aggregations skip absent cells, and a group without any is absent", () => {
  for (const [operator, a, b] of [
    ["sum", [6, undefined, NaN], [10, 20, undefined]],
    ["count", [2, undefined, 2], [1, 1, undefined]],
    ["group", [1, undefined, 1], [1, 1, undefined]],
    ["avg", [3, undefined, NaN], [10, 20, undefined]],
    ["min", [1, undefined, 3], [10, 20, undefined]],
    ["max", [5, undefined, 3], [10, 20, undefined]],
    ["stdvar", [4, undefined, NaN], [0, 0, undefined]],
    ["stddev", [2, undefined, NaN], [0, 0, undefined]],
  ] as const)
    expect(aggregated(operator, ROWS, ["job"])).toEqual([
      ["job=a", a],
      ["job=b", b],
    ]);
});

test("quantile interpolates between ranks", () => {
  expect(aggregated("quantile", ROWS, ["job"], 0.25)).toEqual([
    ["job=a", [2, undefined, NaN]],
    ["job=b", [10, 20, undefined]],
  ]);
});

test("an average does not overflow where its sum would", () => {
  const rows = [1e308, 1.5e308, 1.7e308].map((value, i): Row => ({ labels: { i: `${i}` }, cells: [value] }));
  const [[, [mean]]] = aggregated("avg", rows, []) as [[string, [number]]];
  expect(mean / 1.4e308).toBeCloseTo(1, 12);
});

test("a sum hardly depends on the order of its series", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }), { minLength: 1 }),
      (values) => {
        const sumOf = (ordered: readonly number[]) => {
          const rows = ordered.map((value, i): Row => ({ labels: { i: `${i}` }, cells: [value] }));
          return (aggregated("sum", rows, [])[0]![1] as [number])[0];
        };
        const scale = values.reduce((sum, value) => sum + Math.abs(value), 0);
        expect(Math.abs(sumOf(values) - sumOf(values.toReversed()))).toBeLessThanOrEqual(
          scale * 2 ** -100 + 2 ** -52 * Math.abs(sumOf(values)),
        );
      },
    ),
  );
});

test("topk keeps the largest of each group at each step, NaN last", () => {
  const execution = executionOver(3);
  const node = {
    kind: "rank",
    operator: "topk",
    grouping: projection(true, ["job"]),
    input: NO_INPUT,
    count: { kind: "number", value: 1 },
  } as const;
  const top = rank(node, Float64Array.of(1, 1, 1), rowsOf(ROWS, execution), execution);
  expect(read(top, execution)).toEqual([
    ["i=1,job=a", [undefined, undefined, 3]],
    ["i=2,job=b", [10, 20, undefined]],
    ["i=3,job=a", [5, undefined, undefined]],
  ]);
});

test("an instant topk is ordered by value, and refuses a count that is no count", () => {
  const rows: readonly Row[] = [3, 9, NaN, 5].map((value, i) => ({ labels: { i: `${i}` }, cells: [value] }));
  const ranked = (operator: "topk" | "bottomk", count: number) => {
    const execution = executionOver(1);
    const node = {
      kind: "rank",
      operator,
      grouping: projection(true, []),
      input: NO_INPUT,
      count: { kind: "number", value: count },
    } as const;
    return read(rank(node, Float64Array.of(count), rowsOf(rows, execution), execution), execution).map(
      ([labels]) => labels,
    );
  };
  expect(ranked("topk", 3)).toEqual(["i=1", "i=3", "i=0"]);
  expect(ranked("bottomk", 9)).toEqual(["i=0", "i=3", "i=1", "i=2"]);
  expect(ranked("topk", 0)).toEqual([]);
  expect(() => ranked("topk", NaN)).toThrow("Parameter value is NaN");
  expect(() => ranked("topk", 1e30)).toThrow("Scalar value 1e+30 overflows int64");
});

test("comparisons with a scalar filter and keep the value and the name; with bool they answer 0 or 1", () => {
  const rows: readonly Row[] = [{ labels: { __name__: "m" }, cells: [1, undefined, 3] }];
  const compared = (returnBool: boolean, side: "left" | "right") => {
    const execution = executionOver(3);
    const scalar = { values: Float64Array.of(2, 2, 2), side };
    return read(withScalar(">", returnBool, rowsOf(rows, execution), scalar, execution), execution);
  };
  expect(compared(false, "right")).toEqual([["__name__=m", [undefined, undefined, 3]]]);
  expect(compared(false, "left")).toEqual([["__name__=m", [1, undefined, undefined]]]);
  expect(compared(true, "right")).toEqual([["", [0, undefined, 1]]]);
});

const joined = (left: readonly Row[], right: readonly Row[], node: Partial<JoinNode> = {}) => {
  const execution = executionOver(left[0]!.cells.length);
  const whole: JoinNode = {
    kind: "join",
    operator: "+",
    returnBool: false,
    left: NO_INPUT,
    right: NO_INPUT,
    on: false,
    labels: [],
    ...node,
  };
  return read(join(whole, rowsOf(left, execution), rowsOf(right, execution), execution), execution);
};

test("vectors meet where the labels that count are equal, at steps where both have a value", () => {
  const left: readonly Row[] = [
    { labels: { __name__: "l", a: "1" }, cells: [1, 2, undefined] },
    { labels: { __name__: "l", a: "2" }, cells: [3, 4, 5] },
  ];
  const right: readonly Row[] = [{ labels: { __name__: "r", a: "1" }, cells: [10, undefined, 10] }];
  expect(joined(left, right)).toEqual([
    ["a=1", [11, undefined, undefined]],
    ["a=2", [undefined, undefined, undefined]],
  ]);
});

test("ambiguous matches are refused at the steps where they are", () => {
  const twins = (cells: readonly Row["cells"][]) =>
    cells.map((row, i): Row => ({ labels: { a: "1", i: `${i}` }, cells: row }));
  const one: readonly Row[] = [{ labels: { a: "1" }, cells: [1, 1] }];
  const on = { on: true, labels: ["a"] };
  expect(() =>
    joined(
      one,
      twins([
        [1, undefined],
        [2, undefined],
      ]),
      on,
    ),
  ).toThrow(
    'found duplicate series for the match group {a="1"} on the right hand-side of the operation: ' +
      '[{a="1", i="0"}, {a="1", i="1"}];many-to-many matching not allowed: matching labels must be unique on one side',
  );
  expect(() =>
    joined(
      twins([
        [1, undefined],
        [2, undefined],
      ]),
      one,
      on,
    ),
  ).toThrow("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
  expect(
    joined(
      one,
      twins([
        [1, undefined],
        [undefined, 2],
      ]),
      on,
    ),
  ).toEqual([["a=1", [2, 3]]]);
});

test("series that become equal are one series, unless both have a value at a step", () => {
  const execution = executionOver(2);
  const apart: readonly Row[] = [
    { labels: { a: "1" }, cells: [1, undefined] },
    { labels: { a: "1" }, cells: [undefined, 2] },
  ];
  expect(read(mergeEqual(rowsOf(apart, execution), execution), execution)).toEqual([["a=1", [1, 2]]]);
  const clash = mergeEqual(rowsOf([apart[0]!, apart[0]!], execution), execution);
  expect(() => clash.next()).toThrow("vector cannot contain metrics with the same labelset");
});
