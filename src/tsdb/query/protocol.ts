/**
 * What the main thread and a query worker say to each other. A worker runs one job at a time:
 *
 *   main                          worker
 *    │ ── run ──────────────────▶ │
 *    │ ◀── piece, piece, ...      │   each takes one credit; out of credits the worker sleeps
 *    │ ── credit (shared word) ─▶ │   one for each piece that the client took
 *    │ ── stop (shared word) ───▶ │   hang-up or deadline: seen at the next check of any loop
 *    │ ◀── last piece | failed    │   always exactly one of the two ends the job
 *
 * Stop and credits are words of shared memory, because a worker in a loop reads no messages. Pieces are bytes of the JSON
 * answer and are transferred, not copied. Values never travel as plain numbers: that would lose NaN payloads.
 */
import type { ErrorCode } from "../../base/errors.ts";
import type { HeadAttachment } from "../head/head-storage.ts";
import type { QueryLimits } from "../promql/budget.ts";
import type { View } from "../storage.ts";

export type { CardinalityStats } from "../head/cardinality.ts";

/** What a worker can be asked. Queries and selectors come as text: they are parsed in the worker, whatever their size. */
export type QueryJob =
  | ({ readonly kind: "instant"; readonly timeMs: number } & Evaluation)
  | ({ readonly kind: "range"; readonly startMs: number; readonly endMs: number; readonly stepMs: number } & Evaluation)
  | { readonly kind: "format"; readonly query: string }
  /** Answered with the bare JSON of CardinalityStats; at most `limit` entries in each list. */
  | { readonly kind: "cardinality"; readonly limit: number }
  | ({ readonly kind: "series" } & Selection)
  | ({ readonly kind: "labels" } & Selection)
  | ({ readonly kind: "labelValues"; readonly name: string } & Selection);

export interface Evaluation {
  readonly query: string;
  readonly lookbackDeltaMs: number;
  /** Series in the answer; 0: all. */
  readonly limit: number;
}

export interface Selection {
  /** Series selectors (`match[]`) as they were given; none selects all series. */
  readonly selectors: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  /** Items in the answer; 0: all. */
  readonly limit: number;
}

/** What a worker is started with. */
export interface WorkerSetup {
  readonly attachment: HeadAttachment;
  readonly blocks: {
    readonly dir: string;
    /** For parts of their indexes, in each worker. */
    readonly cacheBytesMax: number;
  };
  /** The control words, CONTROL_BYTES of them. */
  readonly control: SharedArrayBuffer;
  readonly limits: Omit<QueryLimits, "timeoutMs">;
  /** How long a worker waits for a client that does not read. */
  readonly writeTimeoutMs: number;
}

export interface RunMessage {
  readonly job: QueryJob;
  /** What the job sees; the main thread keeps its files until the job has ended. */
  readonly view: View;
  /** What is left of the query's time. */
  readonly timeoutMs: number;
}

export type WorkerMessage =
  /** While it runs a job: what it read of a block is not what was written. */
  | { readonly type: "damage"; readonly ulid: string; readonly message: string }
  | { readonly type: "piece"; readonly bytes: Uint8Array<ArrayBuffer>; readonly isLast: boolean }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly remedy: string | undefined;
    };

/** Indexes into the control words, an Int32Array over shared memory. Stop comes first: QueryBudget reads word 0. */
export const CONTROL = { stop: 0, credits: 1 } as const;
export const CONTROL_BYTES = 8;

/** Pieces that may be on their way to a client that does not read: what a slow reader makes the main thread hold. */
export const CREDITS_AT_START = 4;

/** Given along with a stop, so that a worker that sleeps, or is about to, goes on and sees it. */
export const CREDITS_TO_STOP = 1 << 20;
