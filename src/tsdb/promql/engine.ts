/**
 * Queries from text to columns:
 *
 *   text ──parse──▶ syntax tree ──plan/──▶ plan ──operators/──▶ rows in batches ──▶ QueryResult ──result-json──▶ bytes
 *
 * Everything runs in the calling thread until the result is complete; whoever wants to stop it raises the budget's abort
 * word. What is valid PromQL but cannot be computed yet is refused while it is planned, before anything is read.
 */
import { TsdbError } from "../../base/errors.ts";
import type { LabelSet } from "../model/labels.ts";
import type { Storage } from "../storage.ts";
import { countPresent, isAbsent, wordsOf } from "./absent.ts";
import { Annotations } from "./annotations.ts";
import type { QueryBudget } from "./budget.ts";
import { LabelSets } from "./label-sets.ts";
import { LabelTable } from "./label-table.ts";
import { buildVector } from "./operators/build.ts";
import type { Execution } from "./operators/operator.ts";
import { finishNames } from "./operators/relabel.ts";
import { evaluateScalar } from "./operators/scalar.ts";
import { readSamples } from "./operators/scan.ts";
import type { SampleReader } from "./operators/sample-reader.ts";
import { parseExpression } from "./parser.ts";
import { buildPlan } from "./plan/build.ts";
import type { QueryTimes } from "./plan/build.ts";
import { isScalar } from "./plan/node.ts";
import type { PlanNode, SamplesNode, VectorNode } from "./plan/node.ts";
import type { QueryResult, QueryValue, SeriesColumn } from "./result.ts";

export const DEFAULT_LOOKBACK_MS = 5 * 60_000;

/** What a query runs on. The reader is the query's own until it returns. */
export interface QueryEnvironment {
  readonly storage: Storage;
  readonly samples: SampleReader;
  readonly budget: QueryBudget;
  /** Prometheus' feature flag `promql-delayed-name-removal`; off, as in its servers, when not given. */
  readonly delayedNameRemoval?: boolean;
  /** Prometheus' feature flag `promql-unquoted-utf8-names`; off, as in its servers, when not given. */
  readonly unquotedNames?: boolean;
}

export interface QueryOptions {
  /** How far back an instant vector looks for a sample; 0 or absent: five minutes. */
  readonly lookbackMs?: number;
  /** At most this many series are returned, with a warning when there were more; 0 or absent: all. */
  readonly limit?: number;
}

export interface InstantQuery extends QueryOptions {
  readonly query: string;
  readonly timeMs: number;
}

export interface RangeQuery extends QueryOptions {
  readonly query: string;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  readonly stepMs: number;
}

/**
 * @throws TsdbError BAD_QUERY, NOT_YET_SUPPORTED before anything is read; QUERY_EXECUTION, QUERY_LIMIT, QUERY_TIMEOUT,
 * QUERY_CANCELED and what storage throws while it runs
 */
export function executeInstant(query: InstantQuery, environment: QueryEnvironment): QueryResult {
  const { timeMs } = query;
  return execute(query, { startMs: timeMs, endMs: timeMs, stepMs: 1, count: 1, isInstant: true }, environment);
}

/** As `executeInstant`, at each step from `startMs` to `endMs`. */
export function executeRange(query: RangeQuery, environment: QueryEnvironment): QueryResult {
  const { startMs, endMs, stepMs } = query;
  const count = Math.max(0, Math.floor((endMs - startMs) / stepMs) + 1);
  return execute(query, { startMs, endMs, stepMs, count, isInstant: false }, environment);
}

function execute(
  { query, lookbackMs, limit }: QueryOptions & { readonly query: string },
  times: QueryTimes,
  { storage, samples, budget, delayedNameRemoval = false, unquotedNames = false }: QueryEnvironment,
): QueryResult {
  const plan = buildPlan(parseExpression(query, { unquotedNames }), times);
  const annotations = new Annotations(query);
  const labels = new LabelTable();
  const querier = storage.querier({ labels, budget });
  try {
    const execution: Execution = {
      grid: times,
      lookbackMs: lookbackMs || DEFAULT_LOOKBACK_MS,
      querier,
      sets: new LabelSets(labels),
      samples,
      budget,
      annotations,
      delayedNameRemoval,
    };
    const complete = times.isInstant ? instantValue(plan, execution) : rangeValue(plan, execution);
    const value = limited(complete, limit || Infinity, annotations);
    for (const warning of querier.warnings) annotations.warnOfStorage(warning);
    return { value, warnings: annotations.warnings, infos: annotations.infos };
  } finally {
    querier.close();
  }
}

function instantValue(plan: PlanNode, execution: Execution): QueryValue {
  const timeMs = execution.grid.startMs;
  if (plan.kind === "string") return { type: "string", timeMs, value: plan.value };
  if (plan.kind === "samples") return { type: "matrix", series: sampleSeries(plan, execution) };
  if (isScalar(plan)) return { type: "scalar", timeMs, value: evaluateScalar(plan, execution, buildVector)[0]! };

  const { sets, budget } = execution;
  const operator = finishNames(buildVector(plan, execution), execution);
  const labels: LabelSet[] = [];
  const values = new Float64Array(operator.series.sets.length);
  for (let rows = operator.next(); rows !== undefined; rows = operator.next()) {
    budget.check();
    const words = wordsOf(rows.values);
    for (let row = 0; row < rows.count; row++) {
      if (isAbsent(words, row)) continue;
      values[labels.length] = rows.values[row]!;
      labels.push(sets.labels(operator.series.sets[rows.first + row]!));
    }
    budget.holdSamples(labels.length);
  }
  return { type: "vector", timeMs, labels, values: values.subarray(0, labels.length) };
}

function rangeValue(plan: PlanNode, execution: Execution): QueryValue {
  if (plan.kind === "string" || plan.kind === "samples")
    throw new TsdbError(
      "BAD_QUERY",
      `invalid expression type "${plan.kind === "string" ? "string" : "range vector"}" for range query, ` +
        "must be Scalar or instant Vector",
    );
  const { grid, sets } = execution;
  const times = Float64Array.from({ length: grid.count }, (_, step) => grid.startMs + step * grid.stepMs);
  if (isScalar(plan))
    return { type: "matrix", series: [{ labels: [], times, values: evaluateScalar(plan, execution, buildVector) }] };

  const held = [...heldColumns(plan, execution)];
  const order = sets.sorted(Uint32Array.from(held, ({ set }) => set));
  return {
    type: "matrix",
    series: Array.from(order, (i) => ({ labels: sets.labels(held[i]!.set), times, values: held[i]!.column })),
  };
}

/** A copy of the column of every series that has a value at some step. */
function* heldColumns(plan: VectorNode, execution: Execution): Generator<{ set: number; column: Float64Array }> {
  const { grid, budget } = execution;
  if (grid.count === 0) return;
  const operator = finishNames(buildVector(plan, execution), execution);
  for (let rows = operator.next(); rows !== undefined; rows = operator.next()) {
    budget.check();
    for (let row = 0; row < rows.count; row++) {
      const column = rows.values.subarray(row * grid.count, (row + 1) * grid.count);
      const sampleCount = countPresent(column);
      if (sampleCount === 0) continue;
      budget.addSamples(sampleCount);
      budget.addBytes(column.byteLength);
      yield { set: operator.series.sets[rows.first + row]!, column: column.slice() };
    }
  }
}

function sampleSeries(plan: SamplesNode, execution: Execution): SeriesColumn[] {
  const { sets } = execution;
  const held = [...readSamples(plan, execution)];
  const order = sets.sorted(Uint32Array.from(held, ({ set }) => set));
  return Array.from(order, (i) => ({ ...held[i]!, labels: sets.labels(held[i]!.set) }));
}

function limited(value: QueryValue, limit: number, annotations: Annotations): QueryValue {
  const truncates =
    (value.type === "matrix" && value.series.length > limit) ||
    (value.type === "vector" && value.labels.length > limit);
  if (!truncates) return value;
  annotations.warnOfStorage("results truncated due to limit");
  if (value.type === "matrix") return { ...value, series: value.series.slice(0, limit) };
  return { ...value, labels: value.labels.slice(0, limit), values: value.values.slice(0, limit) };
}
