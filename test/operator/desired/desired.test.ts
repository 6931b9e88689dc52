import fc from "fast-check";
import { expect, test } from "vitest";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { podDisruptionBudget } from "../../../src/operator/desired/disruption.ts";
import { difference } from "../../../src/operator/reconcile/difference.ts";
import { at, built, databaseOf, factsOf, one, problemsOf, templateOf } from "../support/databases.ts";
import { ownedByApplying } from "../support/owned-by-applying.ts";
import { optionalFields, validSpecs } from "../support/specs.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

/** The claim of the first member as it stands in the cluster. */
const liveClaim = (spec: object, annotations: Record<string, string> = {}): ReadonlyMap<string, KubeObject> =>
  new Map([
    [
      "data-metrics-0",
      {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: "data-metrics-0", namespace: "monitoring", annotations },
        spec: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem", volumeName: "pv-1", ...spec },
        status: { phase: "Bound" },
      },
    ],
  ]);
const sized = (storage: string) => ({ resources: { requests: { storage } } });

test("the image is what the spec says, else what runs, else what last ran on the volume, else the default", () => {
  const statefulSet = one(built({ image: "tsdb:running" }), "StatefulSet");
  const claims = liveClaim(sized("10Gi"), { "tsdb.dev/image": "tsdb:last" });
  for (const [spec, facts, image] of [
    [{ image: "tsdb:asked" }, { statefulSet, claims }, "tsdb:asked"],
    [{}, { statefulSet, claims }, "tsdb:running"],
    [{}, { claims }, "tsdb:last"],
    [{}, {}, "registry.example/tsdb:1.0.0"],
  ] as const) {
    const made = built(spec, facts);
    expect(made.image).toBe(image);
    expect(templateOf(made).spec.containers[0]?.image).toBe(image);
    expect(one(made, "PersistentVolumeClaim").metadata.annotations).toMatchObject({ "tsdb.dev/image": image });
  }
});

test("a claim grows and never shrinks, and the spelling of its size is left alone", () => {
  for (const [live, asked, size] of [
    ["10Gi", "20Gi", "20Gi"],
    ["20Gi", "10Gi", "20Gi"],
    ["10Gi", "10240Mi", "10Gi"],
  ] as const) {
    const claim = one(built({ storage: { size: asked } }, { claims: liveClaim(sized(live)) }), "PersistentVolumeClaim");
    expect(at(claim, "spec.resources.requests.storage")).toBe(size);
  }
});

test("a claim that has no volume yet keeps its size: it may be changed only afterwards", () => {
  const [[name, bound]] = [...liveClaim(sized("10Gi"))] as [[string, KubeObject]];
  const claims = new Map([[name, { ...bound, status: { phase: "Pending" } }]]);
  const claim = one(built({ storage: { size: "20Gi" } }, { claims }), "PersistentVolumeClaim");
  expect(at(claim, "spec.resources.requests.storage")).toBe("10Gi");
});

test("what nobody can change of a claim or of a claim template is said as it stands there", () => {
  const claims = liveClaim({ ...sized("10Gi"), storageClassName: "old", accessModes: ["ReadWriteOncePod"] });
  const first = one(built({ storage: { size: "10Gi", className: "old" } }), "StatefulSet");
  const made = built({ storage: { size: "50Gi", className: "new" } }, { claims, statefulSet: first });
  expect(one(made, "PersistentVolumeClaim")["spec"]).toEqual({
    accessModes: ["ReadWriteOncePod"],
    storageClassName: "old",
    ...sized("50Gi"),
  });
  const templates = (statefulSet: KubeObject) => at(statefulSet, "spec.volumeClaimTemplates");
  expect(templates(one(made, "StatefulSet"))).toEqual(templates(first));
});

test("a volume has an owner only while it is to be deleted with its database", () => {
  const ownersOf = (whenDeleted: string) =>
    one(built({ storage: { size: "1Gi", whenDeleted } }), "PersistentVolumeClaim").metadata.ownerReferences;
  expect(ownersOf("Retain")).toBeUndefined();
  expect(ownersOf("Delete")).toMatchObject([{ kind: "TimeSeriesDB", name: "metrics", controller: true }]);
});

test("everything but the volume goes with its database, belongs to the installation, and has the labels it is found by", () => {
  const made = built(
    { network: { allowFrom: [] }, monitoring: { serviceMonitor: true } },
    { hasServiceMonitors: true },
    { labels: { "app.kubernetes.io/instance": "argo", team: "a" }, annotations: { note: "x" } },
  );
  expect(made.objects.map(({ kind }) => kind)).toEqual([
    "PersistentVolumeClaim",
    "ConfigMap",
    "ServiceAccount",
    "Service",
    "Service",
    "NetworkPolicy",
    "StatefulSet",
    "ServiceMonitor",
  ]);
  for (const { kind, metadata } of made.objects) {
    expect(metadata.labels).toMatchObject({ "tsdb.dev/database": "metrics", "app.kubernetes.io/name": "tsdb" });
    expect(metadata.annotations).toMatchObject({ "tsdb.dev/installation": "tsdb-system/tsdb-operator" });
    expect(metadata.namespace).toBe("monitoring");
    if (kind === "PersistentVolumeClaim") continue;
    // Nothing that would take a right to change finalizers.
    expect(metadata.ownerReferences).toMatchObject([{ controller: true }]);
    expect(metadata.ownerReferences![0]).not.toHaveProperty("blockOwnerDeletion");
  }
  const text = JSON.stringify(made.objects);
  expect(text).not.toContain("app.kubernetes.io/instance");
  expect(text).not.toContain("team");
});

test("nobody is let in by an empty list, and the operator always is", () => {
  const rules = (network: object, facts = {}) =>
    at(one(built({ network }, facts), "NetworkPolicy"), "spec.ingress") as readonly object[];
  const probe = [{ port: "probe", protocol: "TCP" }];
  const operator = {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "tsdb-system" } },
    podSelector: { matchLabels: { "app.kubernetes.io/name": "tsdb-operator" } },
  };
  expect(rules({ allowFrom: [] })).toEqual([{ from: [operator], ports: probe }]);
  const peer = { ipBlock: { cidr: "10.0.0.0/8" } };
  expect(rules({ allowFrom: [peer] })[0]).toEqual({ from: [peer], ports: [{ port: "http", protocol: "TCP" }] });
  expect(rules({ allowFrom: [] }, { operatorNamespace: undefined }), "an operator outside of the cluster").toEqual([
    { ports: probe },
  ]);
});

test("what an earlier spec asked for and this one does not is named, to be deleted", () => {
  const names = (spec: object, hasServiceMonitors: boolean) =>
    built(spec, { hasServiceMonitors }).unwanted.map(({ kind }) => kind);
  expect(names({}, false)).toEqual(["NetworkPolicy", "PodDisruptionBudget"]);
  expect(names({}, true)).toEqual(["NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"]);
  expect(names({ network: { allowFrom: [] }, monitoring: { serviceMonitor: true } }, true)).toEqual([
    "PodDisruptionBudget",
  ]);
});

test("a single member holds up no drain: there is a disruption budget from two on", () => {
  const database = databaseOf();
  expect(podDisruptionBudget(database, factsOf())).toBeUndefined();
  const two = { ...database, spec: { ...database.spec, replicas: 2 } };
  expect(podDisruptionBudget(two, factsOf())?.["spec"]).toMatchObject({ maxUnavailable: 1 });
});

test("a ServiceMonitor is made when it is asked for and the cluster knows the kind, and finds each member once", () => {
  const spec = { monitoring: { serviceMonitor: true, labels: { release: "prometheus" } } };
  const kinds = (hasServiceMonitors: boolean) => built(spec, { hasServiceMonitors }).objects.map(({ kind }) => kind);
  expect(kinds(false)).not.toContain("ServiceMonitor");
  const made = built(spec, { hasServiceMonitors: true });
  const monitor = one(made, "ServiceMonitor");
  expect(monitor.metadata.labels).toMatchObject({ release: "prometheus" });
  const matchLabels = at(monitor, "spec.selector.matchLabels") as Readonly<Record<string, string>>;
  const selected = made.objects.filter(
    ({ kind, metadata }) =>
      kind === "Service" && Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
  );
  expect(selected.map(({ metadata }) => metadata.name)).toEqual(["metrics-headless"]);
});

test("a stopped database has no pods, and keeps its volumes and its template", () => {
  const [running, stopped] = [built(), built({ mode: "Stopped" })];
  expect(one(stopped, "StatefulSet")["spec"]).toEqual({
    ...(one(running, "StatefulSet")["spec"] as object),
    replicas: 0,
  });
  expect(one(stopped, "PersistentVolumeClaim")).toEqual(one(running, "PersistentVolumeClaim"));
  expect(at(one(stopped, "StatefulSet"), "spec.persistentVolumeClaimRetentionPolicy")).toEqual({
    whenDeleted: "Retain",
    whenScaled: "Retain",
  });
});

test("a restart is another value on the pods' template, and a partition keeps members back", () => {
  const made = built({}, { restart: "20Gi", partition: 1 });
  expect(templateOf(made).metadata.annotations["tsdb.dev/restart"]).toBe("20Gi");
  expect(at(one(made, "StatefulSet"), "spec.updateStrategy")).toEqual({
    type: "RollingUpdate",
    rollingUpdate: { partition: 1 },
  });
});

test("a database called tsdb gets no variables of its own Service", () => {
  const made = built({}, {}, { name: "tsdb" });
  expect(templateOf(made).spec).toMatchObject({ enableServiceLinks: false });
  expect(made.objects.map(({ metadata }) => metadata.name).sort()).toEqual([
    "data-tsdb-0",
    "tsdb",
    "tsdb",
    "tsdb",
    "tsdb-config",
    "tsdb-headless",
  ]);
});

test("the longest name leaves room for what is appended to it", () => {
  const name = "x".repeat(40);
  for (const { kind, metadata } of built({}, {}, { name }).objects) {
    expect(metadata.name.length, kind).toBeLessThanOrEqual(52);
    for (const value of Object.values(metadata.labels ?? {})) expect(value.length).toBeLessThanOrEqual(63);
  }
});

test("the user's keys never stand in the place of the operator's", () => {
  expect(
    problemsOf({
      service: { annotations: { "tsdb.dev/installation": "mine", fine: "x" } },
      serviceAccount: { annotations: { "tsdb.dev/x": "" } },
      monitoring: { labels: { "app.kubernetes.io/managed-by": "me", release: "x" } },
    }),
  ).toEqual([
    "spec.service.annotations[tsdb.dev/installation] is the operator's; remove it",
    "spec.serviceAccount.annotations[tsdb.dev/x] is the operator's; remove it",
    "spec.monitoring.labels[app.kubernetes.io/managed-by] is the operator's; remove it",
  ]);
});

test("whatever is asked for, a second look at what was made finds nothing to do", () => {
  fc.assert(
    fc.property(validSpecs, (spec) => {
      const first = built(spec, { hasServiceMonitors: true });
      const claim = first.objects.find(({ kind }) => kind === "PersistentVolumeClaim")!;
      const second = built(spec, {
        hasServiceMonitors: true,
        statefulSet: one(first, "StatefulSet"),
        claims: new Map([[claim.metadata.name, claim]]),
      });
      for (const [i, object] of second.objects.entries()) {
        const live = structuredClone(first.objects[i]!);
        expect(difference(object, live, ownedByApplying(live))).toBeUndefined();
      }
    }),
    { seed, numRuns: 200 },
  );
});

test("every optional field that changes an object is seen when it is set, and when it is taken away again", () => {
  const [without] = [built({}, { hasServiceMonitors: true })];
  const keyOf = ({ kind, metadata }: KubeObject) => `${kind} ${metadata.name}`;
  const seen = new Set<string>();
  for (const [field, values] of Object.entries(optionalFields))
    for (const value of fc.sample(values, { seed, numRuns: 30 })) {
      const given = built({ [field]: value }, { hasServiceMonitors: true });
      for (const object of given.objects) {
        const plain = without.objects.find((other) => keyOf(other) === keyOf(object));
        if (plain === undefined || JSON.stringify(plain) === JSON.stringify(object)) continue;
        seen.add(field);
        const where = `${field}: ${JSON.stringify(value)} in ${keyOf(object)}, seed ${seed}`;
        expect(difference(object, plain, ownedByApplying(plain)), `set ${where}`).toBeDefined();
        expect(difference(plain, object, ownedByApplying(object)), `unset ${where}`).toBeDefined();
      }
    }
  // `paused` is for the controller, `replicas` may only be what it is, and the others make or unmake whole objects.
  const whole = new Set(["paused", "replicas", "network", "monitoring"]);
  expect(Object.keys(optionalFields).filter((field) => !seen.has(field) && !whole.has(field))).toEqual([]);
});
