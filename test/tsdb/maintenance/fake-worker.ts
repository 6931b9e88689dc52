/** A maintenance worker whose jobs do what their text says; see the cases. */
import { setTimeout as sleep } from "node:timers/promises";
import { TsdbError } from "../../../src/base/errors.ts";
import type { JobContext, JobTable } from "../../../src/tsdb/maintenance/job-context.ts";
import { serveJobs } from "../../../src/tsdb/maintenance/worker-loop.ts";

/** @returns an error's text, or `said` */
async function perform(text: string, { check, pause, progress, naming, log }: JobContext): Promise<string> {
  switch (text) {
    case "check": // works on, and looks whether it is to stop
      for (;;) check();
    case "pause":
      for (;;) await pause();
    case "spin": // heeds nothing
      for (;;);
    case "progress":
      for (let done = 0; done <= 1000; done++) progress({ done, total: 1000, unit: "series" });
      return "done";
    case "name-and-exit":
      naming("01");
      process.exit(7);
    case "log":
      log.warn({ err: new Error("an odd thing"), block: "01" }, "look at this");
      return "done";
    case "refuse":
      throw new TsdbError("BLOCK_CORRUPT", "block 01 is damaged", { remedy: "Look at it" });
    case "errno":
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    case "bug":
      throw new TypeError("x is not a function");
    case "exit":
      process.exit(7);
    case "eat": {
      const eaten: number[][] = [];
      for (;;) eaten.push(Array.from({ length: 100_000 }, Math.random));
    }
    default:
      await sleep(Number(text));
      return text;
  }
}

const unused = (): never => {
  throw new Error("the fake worker has no such job");
};

serveJobs({
  load: unused,
  flush: unused,
  compact: unused,
  delete: unused,
  snapshot: unused,
  verify: async ({ ulid }, context) => ({
    damages: [{ file: "", offsetBytes: 0, message: await perform(ulid, context) }],
    bytesRead: 0,
  }),
  quarantine: async ({ ulid, reason }, context) => ({
    ulid,
    minTime: 0,
    maxTime: 0,
    reason: await perform(reason, context),
  }),
  remove: unused,
} satisfies JobTable);
