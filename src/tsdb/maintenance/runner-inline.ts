/** Runs jobs in the thread that asks for them: tests drive a whole database this way, on any Vfs and clock. */
import { canceled, jobContext, runFrom, type JobEnvironment, type JobTable } from "./job-context.ts";
import type { JobKind, JobOf, JobResults, MaintenanceRunner, RunJobOptions } from "./protocol.ts";

export class InlineRunner implements MaintenanceRunner {
  readonly #jobs: Partial<JobTable>;
  readonly #environment: JobEnvironment;
  readonly #running = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(jobs: Partial<JobTable>, environment: JobEnvironment) {
    this.#jobs = jobs;
    this.#environment = environment;
  }

  async run<K extends JobKind>(
    job: JobOf<K>,
    { signal, onProgress, onNaming }: RunJobOptions = {},
  ): Promise<JobResults[K]> {
    const isStopped = (): boolean => this.#isClosed || signal?.aborted === true;
    if (isStopped()) throw canceled();
    const running = runFrom(
      this.#jobs,
      job,
      jobContext(this.#environment, isStopped, (progress) => onProgress?.(progress), onNaming),
    );
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#running);
  }
}
