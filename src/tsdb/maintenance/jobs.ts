/** Kinds of jobs, and what does them. */
import { compact } from "./compact.ts";
import type { JobTable } from "./job-context.ts";
import { load } from "./load.ts";
import { quarantine } from "./quarantine.ts";
import { remove } from "./remove.ts";

export const jobs: Pick<JobTable, "load" | "compact" | "quarantine" | "remove"> = { load, compact, quarantine, remove };
