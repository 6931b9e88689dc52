/** Kinds of jobs, and what does them. */
import { compact } from "./compact.ts";
import { deleteSamples } from "./delete.ts";
import type { JobTable } from "./job-context.ts";
import { load } from "./load.ts";
import { quarantine } from "./quarantine.ts";
import { remove } from "./remove.ts";
import { verify } from "./verify.ts";

export const jobs: Omit<JobTable, "flush" | "snapshot"> = {
  load,
  compact,
  delete: deleteSamples,
  verify,
  quarantine,
  remove,
};
