/**
 * What the main thread and a maintenance worker say to each other. A worker runs one job at a time:
 *
 *   main                          worker
 *    │ ── job ──────────────────▶ │
 *    │ ◀── log, progress, naming  │
 *    │ ── stop (shared word) ───▶ │   seen at the job's next look: a worker in a loop reads no messages
 *    │ ◀── done | failed          │   always exactly one of the two ends the job
 */
import type { ErrorCode } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { JobKind, JobProgress, JobResults, MaintenanceJob } from "./protocol.ts";

/** What a worker is started with. */
export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly dataDir: string;
  /** One i32: not 0 when the job is to stop. */
  readonly stop: SharedArrayBuffer;
}

export const STOP_BYTES = 4;

export interface RunMessage {
  readonly job: MaintenanceJob;
}

export type WorkerMessage =
  | { readonly type: "log"; readonly level: keyof Logger; readonly fields: object; readonly message: string }
  | { readonly type: "progress"; readonly progress: JobProgress }
  | { readonly type: "naming"; readonly ulid: string }
  | { readonly type: "done"; readonly result: JobResults[JobKind] }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      readonly remedy: string | undefined;
      /** Of the system call that failed, if one did. */
      readonly errno: string | undefined;
    };
