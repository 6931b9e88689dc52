/** Every kind of job, and what does it. */
import { compact } from "./compact.ts";
import { deleteSamples } from "./delete.ts";
import { flush } from "./flush.ts";
import type { JobTable } from "./job-context.ts";
import { load } from "./load.ts";
import { quarantine } from "./quarantine.ts";
import { remove } from "./remove.ts";
import { snapshot } from "./snapshot.ts";
import { verify } from "./verify.ts";

export const jobs: JobTable = {
  load,
  flush,
  compact,
  delete: deleteSamples,
  snapshot,
  verify,
  quarantine,
  remove,
};
