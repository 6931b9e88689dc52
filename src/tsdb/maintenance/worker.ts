/** A maintenance worker: the thread that runner-threads.ts starts. */
import { jobs } from "./jobs.ts";
import { serveJobs } from "./worker-loop.ts";

serveJobs(jobs);
