/** Runs maintenance jobs, and knows which run, how far they are, and how those ended that ran before. */
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import type { JobKind, JobOf, JobProgress, JobResults, MaintenanceRunner } from "../maintenance/protocol.ts";

export interface RunningJob {
  readonly kind: JobKind;
  /** What it works on, for people: "3 blocks", a ULID. */
  readonly subject: string;
  readonly startedAtMs: number;
  readonly progress: JobProgress | undefined;
}

export interface JobCounts {
  readonly doneTotal: number;
  readonly failedTotal: number;
  readonly canceledTotal: number;
  readonly secondsTotal: number;
}

const NO_COUNTS: JobCounts = { doneTotal: 0, failedTotal: 0, canceledTotal: 0, secondsTotal: 0 };

export class JobBoard {
  readonly #runner: MaintenanceRunner;
  readonly #clock: Clock;
  readonly #running = new Set<{ -readonly [K in keyof RunningJob]: RunningJob[K] }>();
  readonly #counts = new Map<JobKind, JobCounts>();
  /** Blocks that jobs were about to name when they failed: they may be on disk, and are in no view. */
  readonly leftBlocks = new Set<string>();

  constructor(runner: MaintenanceRunner, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  get running(): readonly RunningJob[] {
    return [...this.#running].map((job) => ({ ...job }));
  }

  counts(kind: JobKind): JobCounts {
    return this.#counts.get(kind) ?? NO_COUNTS;
  }

  /** @throws as the job fails; TsdbError CANCELED once `signal` is aborted */
  async run<K extends JobKind>(job: JobOf<K>, subject: string, signal: AbortSignal): Promise<JobResults[K]> {
    const { kind } = job;
    const entry = { kind, subject, startedAtMs: this.#clock.nowMs(), progress: undefined as JobProgress | undefined };
    const startMs = this.#clock.monotonicMs();
    const named: string[] = [];
    const seconds = (): number => (this.#clock.monotonicMs() - startMs) / 1000;
    this.#running.add(entry);
    try {
      const result = await this.#runner.run<K>(job, {
        signal,
        onProgress: (progress) => void (entry.progress = progress),
        onNaming: (ulid) => void named.push(ulid),
      });
      this.#count(kind, { doneTotal: 1, secondsTotal: seconds() });
      return result;
    } catch (thrown) {
      for (const ulid of named) this.leftBlocks.add(ulid);
      const code = thrown instanceof TsdbError ? thrown.code : undefined;
      // A selector that somebody mistyped is no failure of ours: alerts stand on that number.
      if (code !== "BAD_QUERY")
        this.#count(kind, { [code === "CANCELED" ? "canceledTotal" : "failedTotal"]: 1, secondsTotal: seconds() });
      throw thrown;
    } finally {
      this.#running.delete(entry);
    }
  }

  #count(kind: JobKind, more: Partial<JobCounts>): void {
    const { doneTotal, failedTotal, canceledTotal, secondsTotal } = this.counts(kind);
    this.#counts.set(kind, {
      doneTotal: doneTotal + (more.doneTotal ?? 0),
      failedTotal: failedTotal + (more.failedTotal ?? 0),
      canceledTotal: canceledTotal + (more.canceledTotal ?? 0),
      secondsTotal: secondsTotal + (more.secondsTotal ?? 0),
    });
  }
}
