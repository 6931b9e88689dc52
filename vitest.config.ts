import { defineConfig } from "vitest/config";

const report = process.env["TEST_REPORT"];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // .ci/run counts what was skipped from a report.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
