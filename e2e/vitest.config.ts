/** `npx vitest run --config e2e/vitest.config.ts [NAME]`: the tests that need real peers. They take minutes, mostly waiting. */
import { defineConfig } from "vitest/config";

const report = process.env["TEST_REPORT"];

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["**/*.test.ts"],
    // cluster/ has a configuration of its own.
    exclude: ["cluster/**"],
    globalSetup: ["support/build.ts"],
    environment: "node",
    pool: "forks",
    // Each test waits for time to pass more than it computes.
    maxWorkers: 3,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // .ci/run counts what was skipped from a report.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
