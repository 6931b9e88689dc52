import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import { condition, field, type Reference } from "./support/api.ts";
import { kubectl } from "./support/helm.ts";
import { buildPrograms } from "./support/programs.ts";
import { root } from "./support/run.ts";
import { test } from "./support/test-cluster.ts";

const files = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".yaml"));

beforeAll(() => buildPrograms(["kubectl"]), 600_000);

/** Of existing-volume.yaml: a PersistentVolume is in no namespace, and so would outlive the test. */
const removeVolume = (kubeconfig: string) =>
  kubectl(kubeconfig, "delete", "--ignore-not-found", "--wait=false", "persistentvolume", "snapshot-of-metrics");

// As a user does it, with client-side apply, so that each is stored in an annotation too.
test.for(files)("kubectl applies examples/%s, twice, and says nothing but that", (name, { cluster }) => {
  const apply = () =>
    kubectl(cluster.kubeconfig, "apply", "--validate=strict", "-n", cluster.namespace, "-f", join("examples", name))
      .trim()
      .split("\n");
  try {
    for (const line of apply()) expect(line).toMatch(/ created$/);
    for (const line of apply()) expect(line).toMatch(/ unchanged$/);
  } finally {
    removeVolume(cluster.kubeconfig);
  }
});

test("an operator accepts every example, and makes what belongs to it", async ({ cluster }) => {
  await cluster.startOperator();
  for (const name of files)
    kubectl(cluster.kubeconfig, "apply", "--namespace", cluster.namespace, "--filename", join("examples", name));
  for (const { metadata, spec } of await cluster.api.list("tsdb.dev/v1", "TimeSeriesDB", cluster.namespace)) {
    const reference: Reference = {
      apiVersion: "tsdb.dev/v1",
      kind: "TimeSeriesDB",
      name: metadata.name,
      namespace: cluster.namespace,
    };
    const isAccepted = (object: object) =>
      field(object, "status.observedGeneration") === 1 && condition(object, "Reconciled") !== undefined;
    const database = await cluster.api.waitFor(reference, "to be looked at", isAccepted);
    const { status, reason, message } = condition(database, "Reconciled")!;
    // Of a paused one it says that it does nothing, which is as asked.
    const wanted = field(spec, "paused") === true ? "Paused" : "UpToDate";
    expect({ name: metadata.name, status, reason, message }).toMatchObject({ reason: wanted });
  }
  removeVolume(cluster.kubeconfig);
});
