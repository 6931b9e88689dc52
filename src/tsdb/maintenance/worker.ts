/** The entry of a maintenance worker: a thread that works on blocks, and reads the head through the shared memory. */
import { jobs } from "./jobs.ts";
import { serveJobs } from "./worker-loop.ts";

serveJobs(jobs);
