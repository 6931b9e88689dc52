import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { ClusterMetrics } from "../../src/operator/cluster/metrics.ts";
import { ReconcileMetrics } from "../../src/operator/metrics.ts";

test("docs/reference/operator-metrics.md lists the operator's own metrics as they are, in their order", async () => {
  const registry = new Registry();
  const cluster = new ClusterMetrics(registry);
  cluster.showLeading(() => true);
  cluster.showWatched(() => []);
  new ReconcileMetrics(registry).showQueue(() => ({
    depth: 0,
    running: 0,
    addsTotal: 0,
    retriesTotal: 0,
    oldestWaitMs: 0,
  }));
  const metrics = (await registry.getMetricsAsJSON()).map(({ name, type, help }) => ({
    name,
    type: String(type),
    help,
  }));
  const text = readFileSync(new URL("../../docs/reference/operator-metrics.md", import.meta.url), "utf8");
  const rows = Array.from(text.matchAll(/^\| `(\w+)` \| (\w+) \| (.*) \|$/gm), ([, name, type, help]) => ({
    name,
    type,
    help,
  }));
  expect(rows).toEqual(metrics);
});
