/**
 * `npm run e2e [-- NAME]`: the tests that need a real Kubernetes. With KUBECONFIG set they run on that cluster, in
 * namespaces of their own; without, on one that is built and started for them (support/suite-setup.ts).
 */
import { defineConfig } from "vitest/config";

const report = process.env["TEST_REPORT"];

const shared = {
  root: import.meta.dirname,
  environment: "node",
  pool: "forks",
  // Each test waits for time to pass more than it computes.
  maxWorkers: 2,
  testTimeout: 300_000,
  hookTimeout: 300_000,
} as const;

export default defineConfig({
  test: {
    root: import.meta.dirname,
    globalSetup: ["support/suite-setup.ts"],
    projects: [
      {
        test: {
          ...shared,
          name: "cluster",
          include: ["**/*.test.ts"],
          exclude: ["audit.test.ts"],
          setupFiles: ["support/ran.ts"],
        },
      },
      // What the API server saw of all the others, so after them.
      { test: { ...shared, name: "audit", include: ["audit.test.ts"], sequence: { groupOrder: 1 } } },
    ],
    // .ci/run counts what was skipped from a report.
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
