/** What others do to our objects: what is ours is set back, what is theirs stays, and nobody is fought for ever. */
import { expect, onTestFinished } from "vitest";
import { until } from "../../support/until.ts";
import { at, quiet, waitForReason, writes, writesDuring } from "../reconcile/scene.ts";
import { condition, field, type KubeObject, type Reference } from "../support/api.ts";
import { database } from "../support/operator.ts";
import { test, type TestCluster } from "../support/test-cluster.ts";

/** Applies a database and waits until all of its objects are there; no pod has to run for what these tests are about. */
async function applyMade(cluster: TestCluster, name: string, spec: object = {}): Promise<void> {
  await cluster.apply(database(name, spec));
  await waitForReason(cluster, name, "Reconciled", "UpToDate");
  await quiet(cluster);
}

/** As `kubectl edit` sends it of kinds that Kubernetes itself has: items of lists by their keys. */
const STRATEGIC = "application/strategic-merge-patch+json";

interface Edit {
  readonly kind: Parameters<typeof at>[1];
  readonly name: string;
  readonly change: object;
  /** What must be again as it was. */
  readonly path: string;
}

const edit = (kind: Edit["kind"], name: string, path: string, change: object): Edit => ({ kind, name, path, change });
const container = (change: object) => ({ spec: { template: { spec: { containers: [{ name: "tsdb", ...change }] } } } });
const template = (spec: object) => ({ spec: { template: { spec } } });

const inContainer = "spec.template.spec.containers.0";

const edits: readonly Edit[] = [
  edit("ConfigMap", "metrics-config", "data", { data: { "tsdb.yaml": "server: {}\n" } }),
  edit("ServiceAccount", "metrics", "automountServiceAccountToken", { automountServiceAccountToken: true }),
  edit("Service", "metrics", "spec.type", { spec: { type: "NodePort" } }),
  edit("Service", "metrics", "spec.selector", { spec: { selector: { version: "2" } } }),
  edit("Service", "metrics", "spec.ports", { spec: { ports: [{ port: 8080, targetPort: 1 }] } }),
  edit("Service", "metrics", "metadata.labels", { metadata: { labels: { "tsdb.dev/service": "none" } } }),
  edit("Service", "metrics-headless", "spec.publishNotReadyAddresses", { spec: { publishNotReadyAddresses: false } }),
  edit("Service", "metrics-headless", "spec.ports", { spec: { ports: [{ port: 8081, $patch: "delete" }] } }),
  edit("NetworkPolicy", "metrics", "spec.ingress", { spec: { ingress: [{}] } }),
  edit("NetworkPolicy", "metrics", "spec.podSelector", { spec: { podSelector: { matchLabels: { x: "y" } } } }),
  edit("NetworkPolicy", "metrics", "spec.policyTypes", { spec: { policyTypes: ["Egress"] } }),
  edit("StatefulSet", "metrics", "spec.replicas", { spec: { replicas: 0 } }),
  edit("StatefulSet", "metrics", "spec.updateStrategy", {
    spec: { updateStrategy: { rollingUpdate: { partition: 1 } } },
  }),
  edit("StatefulSet", "metrics", "spec.persistentVolumeClaimRetentionPolicy", {
    spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete" } },
  }),
  edit("StatefulSet", "metrics", `${inContainer}.args`, container({ args: ["start"] })),
  edit("StatefulSet", "metrics", `${inContainer}.readinessProbe`, container({ readinessProbe: { periodSeconds: 60 } })),
  edit("StatefulSet", "metrics", `${inContainer}.resources`, container({ resources: { requests: { cpu: "2" } } })),
  edit(
    "StatefulSet",
    "metrics",
    `${inContainer}.env`,
    container({ env: [{ name: "NODE_OPTIONS", value: "--inspect" }] }),
  ),
  edit(
    "StatefulSet",
    "metrics",
    `${inContainer}.securityContext`,
    container({ securityContext: { readOnlyRootFilesystem: false } }),
  ),
  edit("StatefulSet", "metrics", "spec.template.spec.securityContext", template({ securityContext: { runAsUser: 1 } })),
  edit("StatefulSet", "metrics", "spec.template.spec.enableServiceLinks", template({ enableServiceLinks: true })),
  edit(
    "StatefulSet",
    "metrics",
    "spec.template.spec.terminationGracePeriodSeconds",
    template({ terminationGracePeriodSeconds: 1 }),
  ),
  edit("StatefulSet", "metrics", "spec.template.metadata.annotations", {
    spec: { template: { metadata: { annotations: { "tsdb.dev/config": "0" } } } },
  }),
  edit("PersistentVolumeClaim", "data-metrics-0", "metadata.annotations", {
    metadata: { annotations: { "tsdb.dev/image": "other" } },
  }),
  edit("PersistentVolumeClaim", "data-metrics-0", "metadata.labels", {
    metadata: { labels: { "app.kubernetes.io/component": null } },
  }),
];

const FULL = {
  network: { allowFrom: [{ podSelector: {} }] },
  resources: { requests: { cpu: "100m", memory: "128Mi" } },
  podTemplate: { spec: { containers: [{ name: "tsdb", env: [{ name: "NODE_OPTIONS", value: "--trace-warnings" }] }] } },
};

const children: readonly (readonly [Edit["kind"], string])[] = [
  ...new Map(edits.map(({ kind, name }) => [`${kind} ${name}`, [kind, name] as const])).values(),
];

async function patch({ api }: TestCluster, reference: Reference, change: object): Promise<KubeObject> {
  const path = `${await api.pathOf(reference)}?fieldManager=kubectl-edit`;
  return (await api.call("PATCH", path, change, STRATEGIC)) as KubeObject;
}

test("what somebody changes of ours is set back by one write that is told, and what they add stays", async ({
  cluster,
}) => {
  const { api, namespace } = cluster;
  await cluster.startOperator();
  await applyMade(cluster, "metrics", FULL);
  for (const [kind, name] of children) {
    const theirs = { labels: { "example.com/theirs": "a" }, annotations: { "example.com/theirs": "b" } };
    await patch(cluster, at(cluster, kind, name), { metadata: theirs });
  }
  await patch(cluster, at(cluster, "StatefulSet", "metrics"), {
    spec: { template: { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": "2026-11-25T12:00:00Z" } } } },
  });
  expect(await writesDuring(cluster, async () => quiet(cluster, 3_000)), "additions are no business of ours").toEqual(
    [],
  );

  let longestMs = 0;
  for (const { kind, name, path, change } of edits) {
    const reference = at(cluster, kind, name);
    const before = await api.get(reference);
    const count = writes(cluster).length;
    const edited = await patch(cluster, reference, change);
    const startMs = performance.now();
    expect(field(edited, path), `the edit of ${kind} ${name}, ${path} does something`).not.toEqual(field(before, path));
    await until(`${kind} ${name}: ${path} to be set back`, async () =>
      JSON.stringify(field(await api.get(reference), path)) === JSON.stringify(field(before, path)) ? true : undefined,
    );
    longestMs = Math.max(longestMs, performance.now() - startMs);
    await quiet(cluster, 500);
    const own = writes(cluster)
      .slice(count)
      .filter(({ info }) => info.subresource === "")
      .map(({ info }) => `${info.verb} ${info.name}`);
    expect(own, `${kind} ${name}, ${path}`).toEqual([`patch ${name}`]);
  }
  console.log(`${edits.length} edits were set back, the slowest within ${Math.round(longestMs)} ms`);

  for (const [kind, name] of children) {
    const { labels, annotations } = (await api.get(at(cluster, kind, name))).metadata;
    expect([labels?.["example.com/theirs"], annotations?.["example.com/theirs"]], `${kind} ${name}`).toEqual([
      "a",
      "b",
    ]);
  }
  const set = await api.get(at(cluster, "StatefulSet", "metrics"));
  expect(field(set, "spec.template.metadata.annotations")).toMatchObject({
    "kubectl.kubernetes.io/restartedAt": "2026-11-25T12:00:00Z",
  });
  const events = await api.list("events.k8s.io/v1", "Event", namespace);
  expect(events.map((event) => event["reason"])).toContain("Repaired");
});

test("with an admission that changes our objects each time we do not write for ever", async ({ cluster }) => {
  const { api, namespace } = cluster;
  const name = `fighter-${namespace}`;
  const policy = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    metadata: { name },
    spec: {
      matchConstraints: {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
        resourceRules: [
          { apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources: ["statefulsets"] },
        ],
      },
      failurePolicy: "Fail",
      reinvocationPolicy: "Never",
      mutations: [
        {
          patchType: "ApplyConfiguration",
          applyConfiguration: {
            expression:
              "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{terminationGracePeriodSeconds: 7}}}}",
          },
        },
      ],
    },
  };
  const binding = { ...policy, kind: "MutatingAdmissionPolicyBinding", spec: { policyName: name } };
  onTestFinished(async () => {
    for (const { apiVersion, kind } of [binding, policy]) await api.delete({ apiVersion, kind, name });
  });
  for (const object of [policy, binding]) await api.create(object);
  // The API server takes a policy up a little later.
  const probe = { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "probe", namespace } };
  const pod = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "a", image: "a" }] } };
  const spec = { replicas: 0, serviceName: "a", selector: { matchLabels: { a: "b" } }, template: pod };
  await until("the policy to be in force", async () => {
    const path = `${await api.pathOf({ apiVersion: "apps/v1", kind: "StatefulSet", namespace, name: "" })}?dryRun=All`;
    const made = await api.call("POST", path, { ...probe, spec });
    return field(made, "spec.template.spec.terminationGracePeriodSeconds") === 7 ? true : undefined;
  });

  const operator = await cluster.startOperator();
  await cluster.apply(database("metrics"));
  await waitForReason(cluster, "metrics", "Reconciled", "UpToDate");
  // Whatever happens to the object, such as its controller's status, is a reason to look at it again.
  const statefulSet = at(cluster, "StatefulSet", "metrics");
  for (let touch = 1; touch <= 8; touch++) {
    await patch(cluster, statefulSet, { metadata: { annotations: { "example.com/touch": String(touch) } } });
    await quiet(cluster, 500);
  }
  const told = await waitForReason(cluster, "metrics", "Reconciled", "UnstableField");
  expect(condition(told, "Reconciled")?.["message"]).toContain("terminationGracePeriodSeconds");
  await quiet(cluster, 3_000);
  const applied = writes(cluster).filter(({ info }) => info.resource === "statefulsets");
  // The one that makes it, and three that set it back.
  expect(applied).toHaveLength(4);
  // Something else is still repaired.
  await patch(cluster, at(cluster, "StatefulSet", "metrics"), { spec: { replicas: 0 } });
  await api.waitFor(
    at(cluster, "StatefulSet", "metrics"),
    "to be set back",
    (set) => field(set, "spec.replicas") === 1,
  );
  expect(await operator.metric("tsdb_operator_unstable_fields_total")).toBe(1);
});

/** Each is taken by the API server, and cannot be carried out. */
const impossible: readonly (readonly [field: string, spec: object])[] = [
  ["spec.config.memtableSize", { config: { memtableSize: "1B" } }],
  ["spec.config.queryMaxMemory", { config: { queryMaxMemory: "64GB" } }],
  ["spec.config.walSegmentSize", { config: { walSegmentSize: "2GB" } }],
  ["spec.service.annotations", { service: { annotations: { "tsdb.dev/installation": "mine" } } }],
  ["spec.monitoring.labels", { monitoring: { labels: { "app.kubernetes.io/name": "mine" } } }],
  ["spec.podTemplate.kind", { podTemplate: { kind: "Pod" } }],
  ["spec.podTemplate.spec.hostNetwork", { podTemplate: { spec: { hostNetwork: true } } }],
  ["spec.podTemplate.spec.containers", { podTemplate: { spec: { containers: "tsdb" } } }],
  [
    "spec.podTemplate.spec.containers[tsdb].image",
    { podTemplate: { spec: { containers: [{ name: "tsdb", image: "x" }] } } },
  ],
];

test("a spec that cannot be carried out is told by its field, and touches nothing, here or elsewhere", async ({
  cluster,
}) => {
  const { api } = cluster;
  await cluster.startOperator();
  await applyMade(cluster, "metrics");
  await applyMade(cluster, "other");
  const generationOf = async () => (await api.get(at(cluster, "StatefulSet", "metrics"))).metadata.generation;
  const generation = await generationOf();
  for (const [path, spec] of impossible) {
    const written = await writesDuring(cluster, async () => {
      await cluster.apply(database("metrics", spec));
      const told = await waitForReason(cluster, "metrics", "Reconciled", "InvalidSpec");
      expect(condition(told, "Reconciled")?.["message"]).toContain(path);
    });
    expect(
      written.filter((write) => !write.startsWith("patch timeseriesdbs/status")),
      path,
    ).toEqual([]);
  }
  await applyMade(cluster, "other", { retention: { time: "60d" } });
  await applyMade(cluster, "metrics");
  expect(await generationOf()).toBe(generation);
});
