/**
 * The query workers and the queue before them. Workers are started when first needed (about 30 ms each) and stay; one that
 * dies fails its own query only, and the next query starts another. A query waits for a worker at most `queueWaitMsMax`
 * and never beyond its deadline; a full queue refuses at once, so that overload shows before memory grows.
 *
 * Nothing of a query runs on this thread: it passes on bytes.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { HeadAttachment } from "../db.ts";
import type { HeldView } from "../db/views.ts";
import type { AnswerStream } from "./answer-stream.ts";
import type { QueryJob, WorkerSetup } from "./protocol.ts";
import { WorkerHandle } from "./worker-handle.ts";
import type { Task } from "./worker-handle.ts";

export interface QueryPoolOptions {
  /** The module that a worker runs: worker.ts, or a fake in tests. */
  readonly entry: URL;
  /** Workers at most. */
  readonly size: number;
  readonly queueLengthMax: number;
  readonly queueWaitMsMax: number;
  readonly writeTimeoutMs: number;
  /** How long a worker that was told to stop may take to heed it. */
  readonly stopGraceMs: number;
  readonly heapMegabytesMax: number;
  readonly limits: WorkerSetup["limits"];
  readonly blocks: WorkerSetup["blocks"];
  /** A reader slot for one more worker; undefined when there is none. */
  readonly attach: () => HeadAttachment | undefined;
  readonly detach: (slot: number) => void;
  /** What a query sees that begins now. It is released when the query has ended in its worker, or with the worker. */
  readonly acquireView: () => HeldView;
  /** Told of a damaged block by each query that comes upon it. */
  readonly onDamage?: (ulid: string, message: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RunOptions {
  /** Time for waiting and evaluation together; sending the answer does not count. */
  readonly timeoutMs: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/** The bytes of the JSON answer: whole, or as a stream that is destroyed when the query fails on the way. */
export type QueryAnswer = Uint8Array | AnswerStream;

/** What routes ask queries of. */
export interface QueryRunner {
  /** @throws TsdbError as the query fails; OVERLOADED when it had no turn, QUERY_CANCELED when the client has gone */
  run(job: QueryJob, options: RunOptions): Promise<QueryAnswer>;
  stats(): QueryPoolStats;
}

export interface QueryPoolStats {
  readonly size: number;
  readonly running: number;
  readonly waiting: number;
  readonly workersStartedTotal: number;
  readonly workersLostTotal: number;
}

/** A task that has no worker yet. */
interface Waiting {
  readonly task: Task;
  readonly timer: Timer;
}

export class QueryPool implements QueryRunner {
  readonly #options: QueryPoolOptions;
  readonly #workers = new Set<WorkerHandle>();
  /** In order of arrival. */
  readonly #queue = new Set<Waiting>();
  #isClosed = false;
  #startedTotal = 0;
  #lostTotal = 0;

  constructor(options: QueryPoolOptions) {
    this.#options = options;
  }

  run(job: QueryJob, { timeoutMs, signal }: RunOptions): Promise<QueryAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(stopping());
      if (signal.aborted) return reject(canceled());
      const task: Task = {
        job,
        deadlineMs: this.#options.clock.monotonicMs() + timeoutMs,
        resolve,
        reject,
      };
      signal.addEventListener("abort", () => this.#abandon(task, canceled()), { once: true });
      const worker = this.#freeWorker();
      if (worker !== undefined) worker.run(task);
      else if (this.#queue.size < this.#options.queueLengthMax) this.#enqueue(task, timeoutMs);
      else reject(queueFull(this.#queue.size));
    });
  }

  stats(): QueryPoolStats {
    let running = 0;
    for (const worker of this.#workers) if (!worker.isIdle) running++;
    return {
      size: this.#options.size,
      running,
      waiting: this.#queue.size,
      workersStartedTotal: this.#startedTotal,
      workersLostTotal: this.#lostTotal,
    };
  }

  /** Fails what waits and what runs, and ends all workers. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { task } of this.#queue) this.#abandon(task, stopping());
    await Promise.all(Array.from(this.#workers, (worker) => worker.end(stopping())));
  }

  #freeWorker(): WorkerHandle | undefined {
    for (const worker of this.#workers) if (worker.isIdle) return worker;
    return this.#workers.size < this.#options.size ? this.#startWorker() : undefined;
  }

  #startWorker(): WorkerHandle | undefined {
    const { entry, limits, blocks, writeTimeoutMs, heapMegabytesMax, stopGraceMs, acquireView, clock, log } =
      this.#options;
    const { onDamage = () => undefined } = this.#options;
    const attachment = this.#options.attach();
    if (attachment === undefined) return undefined;
    const worker = new WorkerHandle({
      entry,
      setup: { attachment, blocks, limits, writeTimeoutMs },
      heapMegabytesMax,
      stopGraceMs,
      acquireView,
      onDamage,
      clock,
      log,
      onIdle: () => this.#runNext(),
      onExit: (ended) => this.#lose(ended),
    });
    this.#workers.add(worker);
    this.#startedTotal++;
    return worker;
  }

  #lose(worker: WorkerHandle): void {
    this.#workers.delete(worker);
    this.#options.detach(worker.slot);
    if (this.#isClosed) return;
    this.#lostTotal++;
    this.#runNext();
  }

  #enqueue(task: Task, timeoutMs: number): void {
    const { clock, queueWaitMsMax } = this.#options;
    const isShort = timeoutMs <= queueWaitMsMax;
    const error = () => (isShort ? timedOutInQueue() : noTurn(queueWaitMsMax));
    const timer = clock.after(Math.min(timeoutMs, queueWaitMsMax), () => this.#abandon(task, error()));
    this.#queue.add({ task, timer });
  }

  #runNext(): void {
    for (const waiting of this.#queue) {
      const worker = this.#freeWorker();
      if (worker === undefined) return;
      this.#dequeue(waiting);
      worker.run(waiting.task);
    }
  }

  #dequeue(waiting: Waiting): void {
    waiting.timer.cancel();
    this.#queue.delete(waiting);
  }

  /** Ends a task wherever it is: waiting or running. One that has ended stays as it is. */
  #abandon(task: Task, error: TsdbError): void {
    for (const waiting of this.#queue) {
      if (waiting.task !== task) continue;
      this.#dequeue(waiting);
      return task.reject(error);
    }
    for (const worker of this.#workers) worker.abandon(task, error);
  }
}

const canceled = () => new TsdbError("QUERY_CANCELED", "query was canceled: its client went away");
const stopping = () => new TsdbError("NOT_READY", "The server is stopping");
const timedOutInQueue = () => new TsdbError("QUERY_TIMEOUT", "query timed out in query queue");
const noTurn = (waitMs: number) =>
  new TsdbError("OVERLOADED", `All query workers were busy for ${waitMs} ms; try again later`);
const queueFull = (length: number) =>
  new TsdbError("OVERLOADED", `${length} queries wait for a query worker already; try again later`);
