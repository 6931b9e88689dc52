/** A query worker that does what the text of an instant query says; see the cases. */
import { TsdbError } from "../../../src/base/errors.ts";
import { serveQueries } from "../../../src/tsdb/query/worker-loop.ts";
import type { QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import type { QueryJob } from "../../../src/tsdb/query/protocol.ts";

serveQueries(
  (setup) =>
    function* run(job: QueryJob, budget: QueryBudget): Generator<Uint8Array<ArrayBuffer>> {
      if (job.kind !== "instant") {
        yield Buffer.from(JSON.stringify(job));
        return;
      }
      const [verb = "", argument] = job.query.split(" ");
      const count = Number(argument);
      switch (verb) {
        case "echo":
          yield Buffer.from(`${argument} from slot ${setup.attachment.slot}`);
          return;
        case "pieces":
          for (let i = 0; i < count; i++) yield new Uint8Array(64 * 1024).fill(i);
          return;
        case "check": // works on, asking its budget as every operator does
          for (;;) budget.check();
        case "spin": // heeds nothing
          for (;;);
        case "refuse":
          throw new TsdbError("QUERY_EXECUTION", "many-to-many matching not allowed");
        case "begin-then-refuse":
          for (let i = 0; i < 3; i++) yield new Uint8Array(64 * 1024);
          throw new TsdbError("QUERY_LIMIT", "too late");
        case "bug":
          throw new TypeError("x is not a function");
        case "exit":
          process.exit(7);
        case "eat": {
          const eaten: number[][] = [];
          for (;;) eaten.push(Array.from({ length: 100_000 }, Math.random));
        }
        default:
          throw new Error(`the fake worker does not know ${verb}`);
      }
    },
);
