/**
 * The worker's side of worker-protocol.ts: takes jobs, runs them, sends what they say and how they end. What a job does is
 * the table's business (worker.ts; a fake in tests), so this is also what tests of the runner rest on.
 */
import { randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { TsdbError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { realVfs } from "../../base/vfs.ts";
import { jobContext, runFrom, type JobEnvironment, type JobTable } from "./job-context.ts";
import type { JobProgress, MaintenanceJob } from "./protocol.ts";
import type { RunMessage, WorkerMessage, WorkerSetup } from "./worker-protocol.ts";

/** Between two messages about progress: more than anybody can read. */
const PROGRESS_INTERVAL_MS = 100;

/** Runs jobs until the thread is ended. */
export function serveJobs(jobs: Partial<JobTable>): void {
  assert(parentPort !== null, "a maintenance worker runs in a worker thread");
  const port = parentPort;
  const { module, dataDir, stop } = workerData as WorkerSetup;
  const stopWord = new Int32Array(stop);
  const send = (message: WorkerMessage): void => port.postMessage(message);
  const environment: JobEnvironment = {
    vfs: realVfs,
    dataDir,
    module,
    clock: systemClock,
    random: randomBytes,
    log: sendingLogger(send),
  };
  const isStopped = (): boolean => Atomics.load(stopWord, 0) !== 0;

  const run = async (job: MaintenanceJob): Promise<void> => {
    try {
      const naming = (ulid: string): void => send({ type: "naming", ulid });
      const result = await runFrom(jobs, job, jobContext(environment, isStopped, throttled(send), naming));
      send({ type: "done", result });
    } catch (error) {
      send(failureOf(error));
    }
  };
  port.on("message", ({ job }: RunMessage) => void run(job));
}

function throttled(send: (message: WorkerMessage) => void): (progress: JobProgress) => void {
  let nextMs = 0;
  return (progress) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs < nextMs && progress.done < progress.total) return;
    nextMs = nowMs + PROGRESS_INTERVAL_MS;
    send({ type: "progress", progress });
  };
}

/** Fields are sent as they are printed: an Error is not cloned with all that it says. */
function sendingLogger(send: (message: WorkerMessage) => void): Logger {
  const log =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      const plain: Record<string, unknown> = {};
      for (const [name, value] of Object.entries<unknown>({ ...fields }))
        plain[name] = value instanceof Error ? value.stack : value;
      send({ type: "log", level, fields: plain, message });
    };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

function failureOf(error: unknown): WorkerMessage {
  const errno = errnoOf(error) ?? (error instanceof Error ? errnoOf(error.cause) : undefined);
  if (error instanceof TsdbError)
    return { type: "failed", code: error.code, message: error.message, remedy: error.remedy, errno };
  // What a system call says is for the user, and is enough.
  if (errno !== undefined) return { type: "failed", code: "IO", message: messageOf(error), remedy: undefined, errno };
  const stack = error instanceof Error ? error.stack : undefined;
  return { type: "failed", code: "INTERNAL", message: stack ?? messageOf(error), remedy: undefined, errno };
}
