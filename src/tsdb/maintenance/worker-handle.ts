/**
 * One maintenance worker as the main thread holds it: a thread, and at most one task.
 *
 * A task is settled only once its job touches nothing any more: the thread has said how it ended, or is gone itself. A
 * thread that was told to stop and does not within the grace is terminated, which leaves its half-made files to the next
 * `load`.
 */
import { Worker } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { TsdbError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { JobKind, JobProgress, JobResults, MaintenanceJob } from "./protocol.ts";
import { STOP_BYTES, type RunMessage, type WorkerMessage, type WorkerSetup } from "./worker-protocol.ts";

/** One job, from the moment it is asked for until it ends. */
export interface Task {
  readonly job: MaintenanceJob;
  readonly onProgress: ((progress: JobProgress) => void) | undefined;
  readonly onNaming: ((ulid: string) => void) | undefined;
  resolve(result: JobResults[JobKind]): void;
  reject(error: Error): void;
}

export interface WorkerHandleOptions {
  readonly entry: URL;
  readonly setup: Omit<WorkerSetup, "stop">;
  readonly heapMegabytesMax: number;
  readonly stopGraceMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The worker is free for another task. */
  readonly onIdle: (worker: WorkerHandle) => void;
  readonly onExit: (worker: WorkerHandle) => void;
}

export class WorkerHandle {
  readonly #options: WorkerHandleOptions;
  readonly #thread: Worker;
  readonly #stop: Int32Array;
  readonly #exited: Promise<void>;
  #task: Task | undefined;
  #killTimer: Timer | undefined;
  #idleTimer: Timer | undefined;
  #isEnding = false;
  #causeOfDeath: unknown;

  constructor(options: WorkerHandleOptions) {
    const stop = new SharedArrayBuffer(STOP_BYTES);
    this.#options = options;
    this.#stop = new Int32Array(stop);
    this.#thread = new Worker(options.entry, {
      workerData: { ...options.setup, stop } satisfies WorkerSetup,
      name: "maintenance",
      resourceLimits: { maxOldGenerationSizeMb: options.heapMegabytesMax },
      env: {},
    });
    this.#thread.on("message", (message: WorkerMessage) => this.#receive(message));
    this.#thread.on("error", (error) => (this.#causeOfDeath = error));
    this.#exited = new Promise((resolve) =>
      this.#thread.on("exit", () => {
        this.#onExit();
        resolve();
      }),
    );
    // Idle workers do not keep a process alive that has nothing else to do.
    this.#thread.unref();
  }

  /** Whether it can take a task. */
  get isIdle(): boolean {
    return this.#task === undefined && !this.#isEnding;
  }

  run(task: Task): void {
    assert(this.isIdle, "a worker runs one job at a time");
    this.#idleTimer?.cancel();
    this.#task = task;
    Atomics.store(this.#stop, 0, 0);
    this.#thread.ref();
    this.#thread.postMessage({ job: task.job } satisfies RunMessage);
  }

  /** Asks the job to stop, if this worker still runs it. */
  stop(task: Task): void {
    if (this.#task !== task || this.#killTimer !== undefined) return;
    Atomics.store(this.#stop, 0, 1);
    const { clock, stopGraceMs, log } = this.#options;
    this.#killTimer = clock.after(stopGraceMs, () => {
      log.error({ operation: task.job.kind }, "maintenance worker does not stop; ending it");
      void this.#thread.terminate();
    });
  }

  /** Stops what runs and ends the thread. Resolves when it is gone. */
  async end(): Promise<void> {
    this.#idleTimer?.cancel();
    this.#isEnding = true;
    const task = this.#task;
    if (task === undefined) void this.#thread.terminate();
    else this.stop(task);
    await this.#exited;
  }

  endAfterIdle(idleMs: number): void {
    this.#idleTimer = this.#options.clock.after(idleMs, () => void this.end());
  }

  #receive(message: WorkerMessage): void {
    const { log } = this.#options;
    const task = this.#task;
    switch (message.type) {
      case "log":
        return log[message.level](message.fields, message.message);
      case "progress":
        return task?.onProgress?.(message.progress);
      case "naming":
        return task?.onNaming?.(message.ulid);
      case "done":
        task?.resolve(message.result);
        return this.#finish();
      case "failed":
        task?.reject(failure(message));
        return this.#finish();
    }
  }

  #finish(): void {
    this.#release();
    this.#thread.unref();
    if (this.#isEnding) void this.#thread.terminate();
    else this.#options.onIdle(this);
  }

  #release(): void {
    this.#killTimer?.cancel();
    this.#killTimer = undefined;
    this.#task = undefined;
  }

  #onExit(): void {
    const task = this.#task;
    if (task !== undefined) {
      const wasStopped = Atomics.load(this.#stop, 0) !== 0;
      const cause = this.#causeOfDeath;
      this.#options.log.error(
        { operation: task.job.kind, ...(cause === undefined ? {} : { error: messageOf(cause) }) },
        "maintenance worker ended while it ran a job",
      );
      task.reject(
        wasStopped ? new TsdbError("CANCELED", `The ${task.job.kind} was ended`) : died(task.job.kind, cause),
      );
    }
    this.#release();
    this.#idleTimer?.cancel();
    this.#options.onExit(this);
  }
}

function failure({ code, message, remedy, errno }: Extract<WorkerMessage, { type: "failed" }>): TsdbError {
  const cause = errno === undefined ? undefined : Object.assign(new Error(message), { code: errno });
  return new TsdbError(code, message, { ...(remedy !== undefined && { remedy }), ...(cause && { cause }) });
}

function died(kind: JobKind, cause: unknown): TsdbError {
  if (errnoOf(cause) === "ERR_WORKER_OUT_OF_MEMORY")
    return new TsdbError("INTERNAL", `The ${kind} used more memory than a maintenance worker may have`, { cause });
  const why = cause === undefined ? "" : `: ${messageOf(cause)}`;
  return new TsdbError("INTERNAL", `The worker that ran the ${kind} ended${why}`, { cause });
}
