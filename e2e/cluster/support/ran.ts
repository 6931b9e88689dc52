/** Notes that a file of tests ran, for audit.test.ts, which knows from that whether it saw all there is to see. */
import { appendFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect } from "vitest";
import { suite } from "./suite.ts";

appendFileSync(join(suite().folder, "ran"), `${basename(expect.getState().testPath ?? "")}\n`);
