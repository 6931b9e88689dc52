/**
 * What one query may use, and who stops it: series, samples held at a time, bytes, a deadline, and a flag that another
 * thread raises when the client has hung up. Every loop that grows with the data asks here.
 *
 * Samples count while they are held, as in Prometheus: a result, a buffered operand or one series being decoded, not all
 * that were ever read. So a query over a long time that keeps little is not refused.
 */
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Budget } from "../storage.ts";

export interface QueryLimits {
  readonly seriesMax: number;
  readonly samplesMax: number;
  /** Memory for chunks, columns and results of this query. */
  readonly memoryBytesMax: number;
  readonly timeoutMs: number;
}

export const DEFAULT_LIMITS: QueryLimits = {
  seriesMax: Infinity,
  samplesMax: 50_000_000,
  memoryBytesMax: 1024 ** 3,
  timeoutMs: 120_000,
};

/** What the abort word may say besides 0. */
export const ABORT = { canceled: 1, timedOut: 2 } as const;

export class QueryBudget implements Budget {
  readonly limits: QueryLimits;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #abort: Int32Array | undefined;
  #series = 0;
  #samples = 0;
  #bytes = 0;

  /** @param abort a word of shared memory: 0 lets the query run, ABORT.timedOut ends it as late, any other cancels it */
  constructor(limits: QueryLimits, clock: Clock, abort?: Int32Array) {
    this.limits = limits;
    this.#clock = clock;
    this.#deadlineMs = clock.monotonicMs() + limits.timeoutMs;
    this.#abort = abort;
  }

  addSeries(count: number): void {
    this.#series += count;
    if (this.#series > this.limits.seriesMax)
      throw new TsdbError("QUERY_LIMIT", "query would load too many series into memory in query execution", {
        remedy: `Narrow the selectors: at most ${this.limits.seriesMax} series are read by one query`,
      });
    this.check();
  }

  /** Samples that stay in memory until the query ends. */
  addSamples(count: number): void {
    this.#samples += count;
    this.holdSamples(0);
  }

  /** Asks whether `count` more samples fit for a moment, such as one decoded series. */
  holdSamples(count: number): void {
    if (this.#samples + count > this.limits.samplesMax)
      throw new TsdbError(
        "QUERY_LIMIT",
        "query processing would load too many samples into memory in query execution",
        {
          remedy: `Narrow the query: it may hold ${this.limits.samplesMax} samples at a time`,
        },
      );
  }

  addBytes(count: number): void {
    this.#bytes += count;
    if (this.#bytes > this.limits.memoryBytesMax)
      throw new TsdbError("QUERY_LIMIT", "query processing would use too much memory in query execution", {
        remedy: `Narrow the query: it may use ${this.limits.memoryBytesMax} bytes`,
      });
  }

  check(): void {
    const abort = this.#abort === undefined ? 0 : Atomics.load(this.#abort, 0);
    if (abort !== 0 && abort !== ABORT.timedOut)
      throw new TsdbError("QUERY_CANCELED", "query was canceled in expression evaluation");
    if (abort === ABORT.timedOut || this.#clock.monotonicMs() > this.#deadlineMs)
      throw new TsdbError("QUERY_TIMEOUT", "query timed out in expression evaluation", {
        remedy: "Narrow the query, or raise its timeout",
      });
  }
}
