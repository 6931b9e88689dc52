/**
 * Runs the commands of a PromQL test script (promql-script.ts) and says of each eval whether the engine answers as
 * Prometheus does. As there, an instant query is asked again with `@` on all its selectors, at other times, and each of
 * these as the middle step of a range query.
 *
 * What the engine does not compute yet it must refuse by name. The data of some scripts cannot be stored yet either; evals
 * that would read it are told apart, because no engine could answer them from what is there.
 */
import { TsdbError, messageOf } from "../../src/base/errors.ts";
import { systemClock } from "../../src/base/clock.ts";
import { METRIC_NAME } from "../../src/tsdb/model/labels.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import { isAbsent, wordsOf } from "../../src/tsdb/promql/absent.ts";
import type { Expression } from "../../src/tsdb/promql/ast.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../src/tsdb/promql/budget.ts";
import { executeInstant, executeRange } from "../../src/tsdb/promql/engine.ts";
import type { QueryEnvironment } from "../../src/tsdb/promql/engine.ts";
import type { SampleReader } from "../../src/tsdb/promql/operators/sample-reader.ts";
import { parseExpression } from "../../src/tsdb/promql/parser.ts";
import { printExpression } from "../../src/tsdb/promql/print.ts";
import type { QueryResult, QueryValue } from "../../src/tsdb/promql/result.ts";
import type { Storage } from "../../src/tsdb/storage.ts";
import { FakeStorage, STALE, labelSet, matchesAll } from "./fake-storage.ts";
import type { FakeSeries } from "./fake-storage.ts";
import { parseScript } from "./promql-script.ts";
import type { AnnotationTest, Eval, Load, Point, Sequence } from "./promql-script.ts";

export type Outcome =
  | { readonly kind: "passed" }
  /** `feature` is what the engine named, or what of the data cannot be stored. */
  | { readonly kind: "not yet supported"; readonly feature: string }
  | { readonly kind: "failed"; readonly why: string };

export interface EvalOutcome {
  readonly eval: Eval;
  readonly outcome: Outcome;
}

export interface ScriptOptions {
  /** A reader for each query. */
  readonly makeReader: (budget: QueryBudget) => SampleReader;
  /** Where queries find what was loaded; it is closed when more is loaded. */
  readonly makeStorage?: (
    series: readonly FakeSeries[],
  ) => Promise<{ readonly storage: Storage; close(): Promise<void> }>;
}

/** Runs a whole script. */
export async function* runScript(
  text: string,
  { makeReader, makeStorage = fakeStorage }: ScriptOptions,
): AsyncGenerator<EvalOutcome> {
  let data = new LoadedData();
  let made: Awaited<ReturnType<typeof makeStorage>> | undefined;
  for (const command of parseScript(text)) {
    if (command.kind === "eval") {
      made ??= await makeStorage(data.series);
      yield { eval: command, outcome: new EvalRun(command, data, made.storage, makeReader).outcome() };
      continue;
    }
    await made?.close();
    made = undefined;
    if (command.kind === "clear") data = new LoadedData();
    else data.load(command);
  }
  await made?.close();
}

const fakeStorage: NonNullable<ScriptOptions["makeStorage"]> = async (series) => ({
  storage: new FakeStorage(series, { chunkSamples: [7], batchSeries: [4] }),
  close: async () => undefined,
});

class LoadedData {
  readonly #series = new Map<string, FakeSeries & { times: number[]; values: Float64Array }>();
  /** Series with samples that the database cannot store, and what these are. */
  readonly #unstorable: { readonly labels: LabelSet; readonly feature: string }[] = [];

  load({ stepMs, series, withHistograms }: Load): void {
    for (const { labels, points, hasStartTimestamps } of series) {
      if (points.includes("histogram")) this.#unstorable.push({ labels, feature: "native histogram samples" });
      if (hasStartTimestamps) this.#unstorable.push({ labels, feature: "start timestamps" });
      if (withHistograms) this.#unstorable.push({ labels: histogramOf(labels), feature: "native histogram samples" });
      const key = JSON.stringify(labels);
      const known = this.#series.get(key) ?? { labels, times: [], values: new Float64Array(0) };
      this.#series.set(key, appended(known, points, stepMs));
    }
  }

  get series(): FakeSeries[] {
    return [...this.#series.values()];
  }

  /** What a query would read that cannot be stored. */
  unstorableIn(query: Expression): string | undefined {
    return selectorsOf(query)
      .flatMap(({ matchers }) => this.#unstorable.filter(({ labels }) => matchesAll(matchers, labels)))
      .at(0)?.feature;
  }
}

function appended(
  { labels, times, values }: FakeSeries,
  points: readonly Point[],
  stepMs: number,
): FakeSeries & { times: number[]; values: Float64Array } {
  const present = points.flatMap((point, i) =>
    point === "omitted" || point === "histogram" ? [] : [{ point, time: i * stepMs }],
  );
  const all = new Float64Array(values.length + present.length);
  all.set(values);
  present.forEach(({ point }, i) => all.set(point === "stale" ? STALE : [point], values.length + i));
  return { labels, times: [...times, ...present.map(({ time }) => time)], values: all };
}

const histogramOf = (labels: LabelSet): LabelSet =>
  labelSet(
    Object.fromEntries(
      labels
        .filter(([name]) => name !== "le")
        .map(([name, value]) => [name, name === METRIC_NAME ? value.replace(/_(bucket|count|sum)$/, "") : value]),
    ),
  );

/** Prometheus' tests run with these. */
const LIMITS = { ...DEFAULT_LIMITS, samplesMax: 10_000 };

class EvalRun {
  readonly #eval: Eval;
  readonly #data: LoadedData;
  readonly #storage: Storage;
  readonly #makeReader: ScriptOptions["makeReader"];

  constructor(command: Eval, data: LoadedData, storage: Storage, makeReader: ScriptOptions["makeReader"]) {
    this.#eval = command;
    this.#data = data;
    this.#storage = storage;
    this.#makeReader = makeReader;
  }

  outcome(): Outcome {
    try {
      this.#run();
      return { kind: "passed" };
    } catch (error) {
      if (error instanceof NotYetSupported) return { kind: "not yet supported", feature: error.feature };
      return { kind: "failed", why: messageOf(error) };
    }
  }

  #run(): void {
    const { query, startMs, endMs, stepMs } = this.#eval;
    const parsed = parseExpression(query, { unquotedNames: true });
    if (stepMs !== undefined) {
      const value = this.#checked(parsed, query, (environment) =>
        executeRange({ query, startMs, endMs, stepMs }, environment),
      );
      if (value !== undefined) this.#compare(value, { startMs, endMs, stepMs });
      return;
    }
    this.#runInstant(parsed, query, startMs);
    const fixed = withAt(parsed, startMs);
    if (fixed === undefined) return;
    const others = startMs === 0 ? [-1000, 0, 1000] : [-10, 0, 1 / 5, 1, 10].map((factor) => startMs * factor);
    for (const timeMs of others) this.#runInstant(fixed, printExpression(fixed), Math.trunc(timeMs));
  }

  #runInstant(parsed: Expression, query: string, timeMs: number): void {
    const { samples, isOrdered, result } = this.#eval;
    const value = this.#checked(parsed, query, (environment) => executeInstant({ query, timeMs }, environment));
    if (value === undefined) return;
    this.#compare(value, samples);
    if (samples !== undefined || typeof result === "string" || /(?:start|end|range|step)\(\)/.test(query)) return;

    // The query as a range query, of which this is the middle step.
    const range = { startMs: timeMs - 60_000, endMs: timeMs + 60_000, stepMs: 60_000 };
    const matrix = executeRange({ query, ...range }, this.#environment()).value;
    if (!isOrdered) this.#compare(middleStep(matrix, timeMs, value.type), undefined);
  }

  /** The answer, once errors and annotations are as expected; undefined when the query was to fail and did. */
  #checked(
    parsed: Expression,
    query: string,
    execute: (environment: QueryEnvironment) => QueryResult,
  ): QueryValue | undefined {
    const { fail, warnings, infos } = this.#eval;
    let answered: QueryResult;
    try {
      answered = execute(this.#environment());
    } catch (error) {
      if (!(error instanceof TsdbError) || error.code === "INTERNAL") throw error;
      if (error.code === "NOT_YET_SUPPORTED")
        throw new NotYetSupported(error.message.replace("not yet supported: ", ""));
      if (fail?.matches(error.message) === true) return undefined;
      const unstorable = this.#data.unstorableIn(parsed);
      if (unstorable !== undefined) throw new NotYetSupported(unstorable);
      throw new Error(
        `${query} failed: ${error.message}${fail === undefined ? "" : `, not with ${fail.description}`}`,
        {
          cause: error,
        },
      );
    }
    const unstorable = this.#data.unstorableIn(parsed);
    if (unstorable !== undefined) throw new NotYetSupported(unstorable);
    if (fail !== undefined) throw new Error(`${query} should fail with ${fail.description}`);
    checkAnnotations(answered.warnings, warnings);
    checkAnnotations(answered.infos, infos);
    return answered.value;
  }

  #environment(): QueryEnvironment {
    const budget = new QueryBudget(LIMITS, systemClock);
    return {
      storage: this.#storage,
      samples: this.#makeReader(budget),
      budget,
      delayedNameRemoval: true,
      unquotedNames: true,
    };
  }

  #compare(value: QueryValue, grid: Eval["samples"]): void {
    const { result, isOrdered } = this.#eval;
    switch (value.type) {
      case "string":
        return same(value.value, result, "the string");
      case "scalar":
        if (typeof result !== "number") throw new Error(`a scalar, ${value.value}, is not what was asked for`);
        return near(value.value, result, "the scalar");
      case "vector": {
        const expected = sequences(result);
        const actual = value.labels.map((labels, i) => ({ labels, values: value.values.subarray(i, i + 1) }));
        for (const [place, { labels, values }] of actual.entries()) {
          const found = expected.findIndex((sequence) => keyOf(sequence.labels) === keyOf(labels));
          if (found < 0) throw new Error(`${keyOf(labels)} should not be in the result`);
          if (isOrdered) same(found, place, `the place of ${keyOf(labels)}`);
          nearPoint(values, 0, expected[found]!.points[0]!, keyOf(labels));
        }
        return same(actual.length, expected.length, "the number of series");
      }
      case "matrix": {
        const expected = new Map(sequences(result).map((sequence) => [keyOf(sequence.labels), sequence]));
        for (const { labels, times, values } of value.series) {
          const sequence = expected.get(keyOf(labels));
          if (sequence === undefined) throw new Error(`${keyOf(labels)} should not be in the result`);
          const words = wordsOf(values);
          const present = [...values.keys()].filter((i) => !isAbsent(words, i));
          const wanted = sequence.points.flatMap((point, i) =>
            point === "omitted" ? [] : [{ point, time: grid!.startMs + i * grid!.stepMs }],
          );
          same(
            present.map((i) => times[i]),
            wanted.map(({ time }) => time),
            `the times of ${keyOf(labels)}`,
          );
          for (const [n, i] of present.entries())
            nearPoint(values, i, wanted[n]!.point, `${keyOf(labels)} at ${times[i]}`);
        }
        same(value.series.length, expected.size, "the number of series");
        const keys = value.series.map(({ labels }) => labels.flat());
        same(keys, keys.toSorted(compareTexts), "the order of series");
      }
    }
  }
}

class NotYetSupported extends Error {
  readonly feature: string;

  constructor(feature: string) {
    super(feature);
    this.feature = feature;
  }
}

/** Series are ordered by their labels, pair by pair. */
function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = Buffer.compare(Buffer.from(a[i]!), Buffer.from(b[i]!));
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function sequences(result: Eval["result"]): readonly Sequence[] {
  if (typeof result !== "object") throw new Error(`series are not what was asked for`);
  return result;
}

const keyOf = (labels: LabelSet): string => `{${labels.map(([name, value]) => `${name}="${value}"`).join(", ")}}`;

function same(actual: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
}

function nearPoint(values: Float64Array, i: number, expected: Point, what: string): void {
  if (typeof expected !== "number") throw new Error(`${what} should be ${expected}`);
  near(values[i]!, expected, what);
}

/** Prometheus' tolerance: a millionth of both numbers together. */
function near(actual: number, expected: number, what: string): void {
  if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return;
  const sum = Math.abs(actual) + Math.abs(expected);
  const difference = Math.abs(actual - expected);
  const isNear =
    actual === 0 || expected === 0 || sum < MIN_NORMAL
      ? difference < 1e-6 * MIN_NORMAL
      : difference / Math.min(sum, Number.MAX_VALUE) < 1e-6;
  if (!isNear) throw new Error(`${what} is ${actual}, not ${expected}`);
}

const MIN_NORMAL = 2 ** -1022;

function checkAnnotations(actual: readonly string[], expected: AnnotationTest): void {
  if (expected === "none") return same(actual, [], "the annotations");
  if (expected.length === 0) return;
  for (const test of expected)
    if (!actual.some((text) => test.matches(text)))
      throw new Error(`no annotation is ${test.description}: ${JSON.stringify(actual)}`);
  for (const text of actual)
    if (!expected.some((test) => test.matches(text))) throw new Error(`the annotation ${text} was not expected`);
}

/** What a range query says at one time, as an instant query's answer. */
function middleStep(matrix: QueryValue, timeMs: number, type: QueryValue["type"]): QueryValue {
  if (matrix.type !== "matrix") throw new Error("a range query answers a matrix");
  const labels: LabelSet[] = [];
  const values = new Float64Array(matrix.series.length);
  for (const series of matrix.series) {
    const i = series.times.indexOf(timeMs);
    if (isAbsent(wordsOf(series.values), i)) continue;
    values[labels.length] = series.values[i]!;
    labels.push(series.labels);
  }
  if (type === "scalar") return { type, timeMs, value: values[0]! };
  return { type: "vector", timeMs, labels, values: values.subarray(0, labels.length) };
}

type Selector = Extract<Expression, { kind: "vector-selector" }>;

const childrenOf = (expression: Expression): readonly Expression[] => {
  switch (expression.kind) {
    case "paren":
    case "unary":
    case "subquery":
      return [expression.expression];
    case "binary":
      return [expression.left, expression.right];
    case "aggregate":
      return expression.parameter === undefined
        ? [expression.expression]
        : [expression.parameter, expression.expression];
    case "call":
      return expression.arguments;
    case "matrix-selector":
      return [expression.selector];
    default:
      return [];
  }
};

const selectorsOf = (expression: Expression): Selector[] =>
  expression.kind === "vector-selector" ? [expression] : childrenOf(expression).flatMap(selectorsOf);

/** Functions that see when they are evaluated, or when their samples were. */
const AT_CHANGES = new Set(
  "days_in_month day_of_month day_of_week day_of_year end hour minute month year predict_linear range start step time timestamp".split(
    " ",
  ),
);

/** The query with `@ timeMs` on all selectors and subqueries that have no `@`; undefined when that would change it. */
function withAt(expression: Expression, timeMs: number): Expression | undefined {
  const seesTime = (node: Expression): boolean =>
    (node.kind === "call" && AT_CHANGES.has(node.name)) || childrenOf(node).some(seesTime);
  return seesTime(expression) ? undefined : fix(expression, timeMs);
}

function fix(node: Expression, at: number): Expression {
  switch (node.kind) {
    case "vector-selector":
    case "subquery": // what is inside has its time from the subquery
      return { ...node, at: node.at ?? at };
    case "matrix-selector":
      return { ...node, selector: { ...node.selector, at: node.selector.at ?? at } };
    case "paren":
    case "unary":
      return { ...node, expression: fix(node.expression, at) };
    case "binary":
      return { ...node, left: fix(node.left, at), right: fix(node.right, at) };
    case "aggregate":
      return {
        ...node,
        expression: fix(node.expression, at),
        parameter: node.parameter === undefined ? undefined : fix(node.parameter, at),
      };
    case "call":
      return { ...node, arguments: node.arguments.map((argument) => fix(argument, at)) };
    default:
      return node;
  }
}
