/**
 * What a job is given: the world (disk, clock, chance, log) and the one who asked for it (who may stop it, and may want to
 * know how far it is). Jobs are plain async functions of these, so that tests run them on a disk of their own.
 */
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { nextTurn } from "../../base/turn.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { JobKind, JobOf, JobProgress, JobResults } from "./protocol.ts";

/** What all jobs of a database share. */
export interface JobEnvironment {
  readonly vfs: Vfs;
  readonly dataDir: string;
  readonly module: WebAssembly.Module;
  readonly clock: Clock;
  /** So many random bytes. */
  readonly random: (count: number) => Uint8Array;
  readonly log: Logger;
}

export interface JobContext extends JobEnvironment {
  /** Called inside every loop that grows with the data. @throws TsdbError CANCELED when the job is to stop */
  readonly check: () => void;
  /** `check`, and now and then a turn for whatever else runs in this thread. Awaited between pieces of work. */
  readonly pause: () => Promise<void>;
  readonly progress: (progress: JobProgress) => void;
  /** Called before a block gets the name under which a start finds it: whoever asked has to know of it if the job fails. */
  readonly naming: (ulid: string) => void;
}

/** Does each kind of job. */
export type JobTable = { readonly [K in JobKind]: (job: JobOf<K>, context: JobContext) => Promise<JobResults[K]> };

/** How long a job may keep its thread to itself. */
const TURN_MS = 10;

/** @param isStopped whether the job is to stop: a look at a signal or a shared word */
export function jobContext(
  environment: JobEnvironment,
  isStopped: () => boolean,
  progress: (progress: JobProgress) => void,
  naming: (ulid: string) => void = () => {},
): JobContext {
  const { clock } = environment;
  let turnEndsMs = clock.monotonicMs() + TURN_MS;
  const check = (): void => {
    if (isStopped()) throw canceled();
  };
  return {
    ...environment,
    check,
    progress,
    naming,
    async pause() {
      check();
      if (clock.monotonicMs() < turnEndsMs) return;
      await nextTurn();
      turnEndsMs = clock.monotonicMs() + TURN_MS;
      check();
    },
  };
}

/** The table as a function, for those who hold a job of any kind. */
export async function runFrom<K extends JobKind>(
  table: Partial<JobTable>,
  job: JobOf<K>,
  context: JobContext,
): Promise<JobResults[K]> {
  const run: Partial<JobTable>[K] = table[job.kind];
  if (run === undefined) throw new TsdbError("NOT_YET_SUPPORTED", `This version does no ${job.kind}`);
  return run(job, context);
}

export const canceled = (): TsdbError => new TsdbError("CANCELED", "The work was stopped before it was done");
