/**
 * Behaviour 26: a newer release of the operator takes databases over as they are. The release after this one is this one with
 * what such a release would bring along: a newer way to build pods, and a newer database.
 */
import { expect } from "vitest";
import { field } from "./support/api.ts";
import { environmentOf } from "../support/changed-source.ts";
import { applyReady, at, quiet, settled, test, writesDuring } from "./reconcile/scene.ts";

const NEWER = environmentOf({
  file: "src/operator/desired/stateful-set.ts",
  text: "\n];\n",
  instead: `
  {
    revision: 2,
    build: (input) => {
      const { metadata, spec } = podTemplate(input);
      return { metadata, spec: { ...spec, terminationGracePeriodSeconds: 240 } };
    },
  },
];
`,
});
const NEWER_IMAGE = "tsdb.dev/tsdb:newer";

test("a newer operator writes nothing and restarts nobody, until the user's own change brings its template along", async ({
  cluster,
}) => {
  const { api } = cluster;
  const seen = async () => {
    const pod = await api.get(at(cluster, "Pod", "metrics-0"));
    const set = await api.get(at(cluster, "StatefulSet", "metrics"));
    return {
      pod: pod.metadata.uid,
      graceSeconds: field(pod, "spec.terminationGracePeriodSeconds"),
      image: field(pod, "spec.containers.0.image"),
      revision: set.metadata.annotations?.["tsdb.dev/template-revision"],
    };
  };
  const older = await cluster.startOperator();
  await applyReady(cluster, "metrics", { network: { allowFrom: [] }, resources: { requests: { memory: "1Gi" } } });
  const before = await seen();
  expect(before).toMatchObject({ graceSeconds: 120, revision: "1" });
  await older.program.stop("SIGTERM");
  const newer = { env: NEWER, flags: [`--default-image=${NEWER_IMAGE}`] };
  const writes = await writesDuring(cluster, async () => {
    await cluster.startOperator({ name: "newer", ...newer });
    await quiet(cluster, 5_000);
  });
  expect(writes).toEqual([]);
  expect(await seen()).toEqual(before);

  const reference = at(cluster, "TimeSeriesDB", "metrics");
  // What restarts nobody brings nothing along.
  await api.patch(reference, { spec: { retention: { time: "90d" } } });
  await settled(cluster, "metrics");
  expect(await seen()).toEqual(before);
  await api.patch(reference, { spec: { resources: { requests: { memory: "2Gi" } } } });
  await settled(cluster, "metrics");
  const after = await seen();
  expect(after).toMatchObject({ graceSeconds: 240, revision: "2", image: before.image });
  expect(after.pod).not.toBe(before.pod);

  await cluster.apply({
    apiVersion: "tsdb.dev/v1",
    kind: "TimeSeriesDB",
    metadata: { name: "fresh" },
    spec: { storage: { size: "1Gi" } },
  });
  await settled(cluster, "fresh");
  const pod = await api.get(at(cluster, "Pod", "fresh-0"));
  expect([field(pod, "spec.containers.0.image"), field(pod, "spec.terminationGracePeriodSeconds")]).toEqual([
    NEWER_IMAGE,
    240,
  ]);
});
