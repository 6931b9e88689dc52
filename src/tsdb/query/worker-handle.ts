/**
 * One query worker as the main thread holds it: a thread, the reader slot it is attached with, and at most one task.
 *
 * A task ends in the thread (last piece, failure) or is abandoned here (client gone, deadline, shutdown). An abandoned
 * thread is told to stop and given `stopGraceMs` to say that it has; then it is terminated, because a thread that heeds no
 * stop is in a loop that checks nothing. Whatever ends the thread ends its task, frees its slot, and is told by `onExit`.
 */
import { Worker } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { TsdbError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { HeldView } from "../db/views.ts";
import { AnswerStream } from "./answer-stream.ts";
import { CONTROL, CONTROL_BYTES, CREDITS_AT_START, CREDITS_TO_STOP } from "./protocol.ts";
import type { QueryJob, RunMessage, WorkerMessage, WorkerSetup } from "./protocol.ts";

/** One query, from the moment it is asked until its answer begins or fails. */
export interface Task {
  readonly job: QueryJob;
  /** On the clock's monotonic scale. */
  readonly deadlineMs: number;
  /** The answer is whole, or has begun. */
  resolve(body: Uint8Array | AnswerStream): void;
  reject(error: TsdbError): void;
}

export interface WorkerHandleOptions {
  readonly entry: URL;
  readonly setup: Omit<WorkerSetup, "control">;
  readonly heapMegabytesMax: number;
  readonly stopGraceMs: number;
  /** What a query sees that begins now; held until its worker is done with it. */
  readonly acquireView: () => HeldView;
  /** Told of a damaged block by each query that comes upon it. */
  readonly onDamage: (ulid: string, message: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker is free for another task. */
  readonly onIdle: (worker: WorkerHandle) => void;
  readonly onExit: (worker: WorkerHandle) => void;
}

export class WorkerHandle {
  readonly slot: number;
  readonly #options: WorkerHandleOptions;
  readonly #thread: Worker;
  readonly #control: Int32Array;
  #task: Task | undefined;
  /** What the task sees: held beyond its failure, until the thread has ended it. */
  #held: HeldView | undefined;
  /** Once the answer has begun; its task was resolved with it. */
  #stream: AnswerStream | undefined;
  #killTimer: Timer | undefined;
  #causeOfDeath: unknown;

  constructor(options: WorkerHandleOptions) {
    const control = new SharedArrayBuffer(CONTROL_BYTES);
    this.slot = options.setup.attachment.slot;
    this.#options = options;
    this.#control = new Int32Array(control);
    this.#thread = new Worker(options.entry, {
      workerData: { ...options.setup, control } satisfies WorkerSetup,
      name: `query-${this.slot}`,
      resourceLimits: { maxOldGenerationSizeMb: options.heapMegabytesMax },
      env: {},
    });
    this.#thread.on("message", (message: WorkerMessage) => this.#receive(message));
    this.#thread.on("error", (error) => (this.#causeOfDeath = error));
    this.#thread.on("exit", () => this.#exited());
    // Idle workers do not keep a process alive that has nothing else to do.
    this.#thread.unref();
  }

  get isIdle(): boolean {
    return this.#task === undefined;
  }

  run(task: Task): void {
    assert(this.isIdle, "a worker runs one query at a time");
    const timeoutMs = task.deadlineMs - this.#options.clock.monotonicMs();
    this.#task = task;
    Atomics.store(this.#control, CONTROL.stop, 0);
    Atomics.store(this.#control, CONTROL.credits, CREDITS_AT_START);
    this.#killAfter(timeoutMs + this.#options.stopGraceMs);
    this.#held = this.#options.acquireView();
    this.#thread.postMessage({ job: task.job, view: this.#held.view, timeoutMs } satisfies RunMessage);
  }

  /** Stops `task` if this worker still runs it. */
  abandon(task: Task, error: TsdbError): void {
    if (this.#task !== task) return;
    Atomics.store(this.#control, CONTROL.stop, 1);
    Atomics.add(this.#control, CONTROL.credits, CREDITS_TO_STOP);
    Atomics.notify(this.#control, CONTROL.credits);
    this.#killAfter(this.#options.stopGraceMs);
    this.#fail(error);
  }

  /** Ends the thread, and with `error` what it runs. Resolves when it is gone. */
  async end(error: TsdbError): Promise<void> {
    this.#fail(error);
    await this.#thread.terminate();
  }

  #receive(message: WorkerMessage): void {
    const task = this.#task;
    assert(task !== undefined, "a worker speaks only while it has a task");
    if (message.type === "damage") return this.#options.onDamage(message.ulid, message.message);
    if (message.type === "failed") {
      this.#fail(
        new TsdbError(message.code, message.message, message.remedy === undefined ? {} : { remedy: message.remedy }),
      );
      this.#finish();
      return;
    }
    const { bytes, isLast } = message;
    if (this.#stream !== undefined) this.#stream.add(bytes, isLast);
    else if (isLast) task.resolve(bytes);
    else this.#begin(task, bytes);
    if (isLast) this.#finish();
  }

  #begin(task: Task, firstPiece: Uint8Array): void {
    const stream = new AnswerStream(
      () => this.#giveCredit(task),
      () => this.abandon(task, new TsdbError("QUERY_CANCELED", "query was canceled: its client went away")),
    );
    this.#stream = stream;
    // From here the client sets the pace; the worker itself gives up on one that takes nothing.
    this.#killTimer?.cancel();
    stream.add(firstPiece, false);
    task.resolve(stream);
  }

  #giveCredit(task: Task): void {
    if (this.#task !== task) return;
    Atomics.add(this.#control, CONTROL.credits, 1);
    Atomics.notify(this.#control, CONTROL.credits);
  }

  /** To an answer that has begun an error can only be shown by breaking it off. A task that has its answer ignores it. */
  #fail(error: TsdbError): void {
    this.#task?.reject(error);
    this.#stream?.destroy(error);
  }

  #finish(): void {
    this.#release();
    this.#options.onIdle(this);
  }

  #release(): void {
    this.#killTimer?.cancel();
    this.#held?.release();
    this.#held = undefined;
    this.#task = undefined;
    this.#stream = undefined;
  }

  #killAfter(delayMs: number): void {
    this.#killTimer?.cancel();
    this.#killTimer = this.#options.clock.after(delayMs, () => {
      this.#options.log.error({ operation: "query", worker: this.slot }, "query worker does not stop; ending it");
      void this.end(new TsdbError("QUERY_TIMEOUT", "query timed out in expression evaluation"));
    });
  }

  #exited(): void {
    if (this.#task !== undefined) {
      const cause = this.#causeOfDeath;
      if (cause !== undefined)
        this.#options.log.error(
          { operation: "query", worker: this.slot, error: messageOf(cause) },
          "query worker died",
        );
      this.#fail(errnoOf(cause) === "ERR_WORKER_OUT_OF_MEMORY" ? outOfMemory() : died());
    }
    this.#release();
    this.#options.onExit(this);
  }
}

const outOfMemory = (): TsdbError =>
  new TsdbError("QUERY_LIMIT", "query used more memory than a query worker may have", {
    remedy: "Narrow the query: fewer series, a shorter range or a larger step",
  });

const died = (): TsdbError =>
  new TsdbError("OVERLOADED", "The worker that ran this query ended; the query may be tried again");
