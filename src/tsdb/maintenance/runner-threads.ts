/**
 * Runs jobs in worker threads. Two lanes, each with a queue of its own: what memory and answers wait for (a flush, a delete)
 * has one thread and never stands behind a compaction of minutes; what takes long has as many as the configuration says.
 *
 * Threads are started when first needed and ended when idle for a while, so that a quiet database has none. One that dies
 * fails its own job only; the next job starts another.
 */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { canceled } from "./job-context.ts";
import type { JobKind, JobOf, JobResults, MaintenanceRunner, RunJobOptions } from "./protocol.ts";
import { WorkerHandle, type Task } from "./worker-handle.ts";

export interface ThreadRunnerOptions {
  /** The module that a worker runs: worker.ts, or a fake in tests. */
  readonly entry: URL;
  readonly module: WebAssembly.Module;
  readonly dataDir: string;
  /** Long jobs that run side by side. */
  readonly concurrency: number;
  readonly heapMegabytesMax: number;
  /** How long a job that was told to stop may take to heed it. */
  readonly stopGraceMs: number;
  readonly idleMsMax: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const longKinds: ReadonlySet<JobKind> = new Set<JobKind>(["compact", "verify", "snapshot"]);

export class ThreadRunner implements MaintenanceRunner {
  readonly #short: Lane;
  readonly #long: Lane;

  constructor(options: ThreadRunnerOptions) {
    this.#short = new Lane(options, 1);
    this.#long = new Lane(options, options.concurrency);
  }

  run<K extends JobKind>(job: JobOf<K>, { signal, onProgress, onNaming }: RunJobOptions = {}): Promise<JobResults[K]> {
    const lane = longKinds.has(job.kind) ? this.#long : this.#short;
    return new Promise((resolve, reject) => {
      const task: Task = {
        job,
        onProgress,
        onNaming,
        resolve: (result) => resolve(result as JobResults[K]),
        reject,
      };
      if (signal?.aborted === true) return reject(canceled());
      signal?.addEventListener("abort", () => lane.stop(task), { once: true });
      lane.add(task);
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#short.close(), this.#long.close()]);
  }
}

class Lane {
  readonly #options: ThreadRunnerOptions;
  readonly #size: number;
  readonly #workers = new Set<WorkerHandle>();
  /** In order of arrival. */
  readonly #queue = new Set<Task>();
  #isClosed = false;

  constructor(options: ThreadRunnerOptions, size: number) {
    this.#options = options;
    this.#size = size;
  }

  add(task: Task): void {
    if (this.#isClosed) return task.reject(canceled());
    this.#queue.add(task);
    this.#runNext();
  }

  stop(task: Task): void {
    if (this.#queue.delete(task)) return task.reject(canceled());
    for (const worker of this.#workers) worker.stop(task);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const task of this.#queue) task.reject(canceled());
    this.#queue.clear();
    await Promise.all(Array.from(this.#workers, (worker) => worker.end()));
  }

  #runNext(): void {
    for (const task of this.#queue) {
      const worker = this.#freeWorker();
      if (worker === undefined) return;
      this.#queue.delete(task);
      worker.run(task);
    }
  }

  #freeWorker(): WorkerHandle | undefined {
    for (const worker of this.#workers) if (worker.isIdle) return worker;
    return this.#workers.size < this.#size ? this.#startWorker() : undefined;
  }

  #startWorker(): WorkerHandle {
    const { entry, module, dataDir, heapMegabytesMax, stopGraceMs, clock, log } = this.#options;
    const worker = new WorkerHandle({
      entry,
      setup: { module, dataDir },
      heapMegabytesMax,
      stopGraceMs,
      clock,
      log,
      onIdle: (idle) => this.#onIdle(idle),
      onExit: (ended) => this.#onExit(ended),
    });
    this.#workers.add(worker);
    return worker;
  }

  #onIdle(worker: WorkerHandle): void {
    this.#runNext();
    if (worker.isIdle) worker.endAfterIdle(this.#options.idleMsMax);
  }

  #onExit(worker: WorkerHandle): void {
    this.#workers.delete(worker);
    if (!this.#isClosed) this.#runNext();
  }
}
