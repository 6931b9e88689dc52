/** The world that a command does the work of jobs in: the real disk, clock and chance. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { realVfs } from "../../base/vfs.ts";
import type { JobEnvironment } from "../maintenance/job-context.ts";

export const jobEnvironment = (dataDir: string, module: WebAssembly.Module): JobEnvironment => ({
  vfs: realVfs,
  dataDir,
  module,
  clock: systemClock,
  random: (count) => randomBytes(count),
  // What a job would log is what the command prints.
  log: silentLogger,
});
