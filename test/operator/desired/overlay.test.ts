import { expect, test } from "vitest";
import { built, problemsOf, templateOf } from "../support/databases.ts";

const podOf = (podTemplate: object) => templateOf(built({ podTemplate }));
const plain = podOf({});

test("an empty template changes nothing", () => {
  expect(podOf({ metadata: {}, spec: {} })).toEqual(plain);
  expect(podOf({ metadata: null, spec: null })).toEqual(plain);
});

test("labels and annotations are added, fields are merged, lists are replaced, null takes away", () => {
  const { metadata, spec } = podOf({
    metadata: { labels: { team: "a" }, annotations: { note: "x" } },
    spec: {
      nodeSelector: { env: "production", volumes: "fast" },
      securityContext: { fsGroup: 1000, seccompProfile: null },
      tolerations: [{ key: "a" }],
    },
  });
  expect(metadata).toEqual({
    labels: { ...plain.metadata.labels, team: "a" },
    annotations: { ...plain.metadata.annotations, note: "x" },
  });
  const { seccompProfile: _, ...securityContext } = plain.spec.securityContext!;
  expect(spec).toEqual({
    ...plain.spec,
    nodeSelector: { env: "production", volumes: "fast" },
    securityContext: { ...securityContext, fsGroup: 1000 },
    tolerations: [{ key: "a" }],
  });
});

test("containers, volumes and variables are merged by name, and mounts by path", () => {
  const sidecar = { name: "sidecar", image: "s", env: [{ name: "A", value: "1" }] };
  const { spec } = podOf({
    spec: {
      initContainers: [{ name: "first", image: "i" }],
      containers: [
        sidecar,
        {
          name: "tsdb",
          livenessProbe: { failureThreshold: 30 },
          env: [{ name: "NODE_OPTIONS", value: "--max-semi-space-size=64" }],
          volumeMounts: [{ mountPath: "/scratch", name: "scratch" }],
        },
      ],
      volumes: [{ name: "scratch", emptyDir: {} }],
    },
  });
  const tsdb = plain.spec.containers[0]!;
  expect(spec.containers).toEqual([
    {
      ...tsdb,
      livenessProbe: { ...(tsdb["livenessProbe"] as object), failureThreshold: 30 },
      env: [{ name: "NODE_OPTIONS", value: "--max-semi-space-size=64" }],
      volumeMounts: [...tsdb.volumeMounts, { mountPath: "/scratch", name: "scratch" }],
    },
    sidecar,
  ]);
  expect(spec.initContainers).toEqual([{ name: "first", image: "i" }]);
  expect(spec.volumes).toEqual([...plain.spec.volumes, { name: "scratch", emptyDir: {} }]);
});

const database = (of: object) => ({ spec: { containers: [{ name: "tsdb", ...of }] } });
const sidecar = (of: object) => ({ spec: { containers: [{ name: "sidecar", image: "s", ...of }] } });

const refused: readonly (readonly [problem: string, podTemplate: object])[] = [
  ["kind is no part", { kind: "Pod" }],
  ["spec must have", { spec: [] }],
  ["metadata must have", { metadata: [] }],
  ["metadata.name is the operator's", { metadata: { name: "a" } }],
  ["metadata.labels must be", { metadata: { labels: ["a"] } }],
  ["metadata.labels[tsdb.dev/database]", { metadata: { labels: { "tsdb.dev/database": "other" } } }],
  ["metadata.labels[app.kubernetes.io/name]", { metadata: { labels: { "app.kubernetes.io/name": "other" } } }],
  ["metadata.annotations[tsdb.dev/config]", { metadata: { annotations: { "tsdb.dev/config": "0" } } }],
  ["spec.containers must be a list", { spec: { containers: { tsdb: {} } } }],
  ["spec.containers may be added to", { spec: { containers: null } }],
  ["spec.containers[0] needs a name", { spec: { containers: [{ image: "a" }] } }],
  ["spec.containers[a] is there twice", { spec: { containers: [{ name: "a" }, { name: "a" }] } }],
  ["spec.containers[tsdb].env[1] needs a name", database({ env: [{ name: "A" }, "B"] })],
  ["spec.volumes may be added to", { spec: { volumes: null } }],
  ["spec.volumes[data] is the database's data", { spec: { volumes: [{ name: "data", emptyDir: {} }] } }],
  ["spec.volumes[config] is the engine's file", { spec: { volumes: [{ name: "config", emptyDir: {} }] } }],
  ["spec.volumes[x].hostPath", { spec: { volumes: [{ name: "x", hostPath: { path: "/" } }] } }],
  [
    "spec.volumes[x] is refused: the data",
    { spec: { volumes: [{ name: "x", persistentVolumeClaim: { claimName: "data-metrics-0" } }] } },
  ],
  ["spec.serviceAccountName", { spec: { serviceAccountName: "admin" } }],
  ["spec.automountServiceAccountToken", { spec: { automountServiceAccountToken: true } }],
  ["spec.enableServiceLinks", { spec: { enableServiceLinks: true } }],
  ["spec.hostNetwork", { spec: { hostNetwork: true } }],
  ["spec.hostPID", { spec: { hostPID: true } }],
  ["spec.hostIPC", { spec: { hostIPC: true } }],
  ["spec.restartPolicy", { spec: { restartPolicy: "Never" } }],
  ["spec.securityContext.windowsOptions", { spec: { securityContext: { windowsOptions: { hostProcess: true } } } }],
  ["spec.containers[tsdb].image is said by spec.image", database({ image: "other" })],
  ["spec.containers[tsdb].resources are said by", database({ resources: {} })],
  ["spec.containers[tsdb].command", database({ command: ["sh"] })],
  ["spec.containers[tsdb].args", database({ args: [] })],
  ["spec.containers[tsdb].ports", database({ ports: [] })],
  ["spec.containers[tsdb].envFrom", database({ envFrom: [] })],
  ["spec.containers[tsdb].env[TSDB_RETENTION]", database({ env: [{ name: "TSDB_RETENTION", value: "1d" }] })],
  ["spec.containers[tsdb].volumeMounts may be added to", database({ volumeMounts: null })],
  ["spec.containers[tsdb].volumeMounts[/data]", database({ volumeMounts: [{ mountPath: "/data", name: "x" }] })],
  ["spec.containers[tsdb].volumeMounts[/data/x]", database({ volumeMounts: [{ mountPath: "/data/x", name: "x" }] })],
  [
    "spec.containers[tsdb].volumeMounts[/x/../data]",
    database({ volumeMounts: [{ mountPath: "/x/../data", name: "x" }] }),
  ],
  ["spec.containers[tsdb].volumeMounts[/etc]", database({ volumeMounts: [{ mountPath: "/etc", name: "x" }] })],
  ["spec.containers[tsdb].volumeMounts[/y]", database({ volumeMounts: [{ mountPath: "/y", name: "data" }] })],
  ["spec.containers[sidecar].volumeMounts[/d]", sidecar({ volumeMounts: [{ mountPath: "/d", name: "data" }] })],
  [
    "spec.initContainers[fix].volumeMounts[/d]",
    { spec: { initContainers: [{ name: "fix", image: "i", volumeMounts: [{ mountPath: "/d", name: "data" }] }] } },
  ],
  ["spec.containers[tsdb].securityContext.privileged", database({ securityContext: { privileged: true } })],
  ["spec.containers[sidecar].securityContext.privileged", sidecar({ securityContext: { privileged: true } })],
  [
    "spec.containers[sidecar].securityContext.capabilities.add",
    sidecar({ securityContext: { capabilities: { add: ["SYS_ADMIN"] } } }),
  ],
  ["spec.containers[sidecar].securityContext.procMount", sidecar({ securityContext: { procMount: "Unmasked" } })],
  ["spec.containers[sidecar].ports[80].hostPort", sidecar({ ports: [{ containerPort: 80, hostPort: 80 }] })],
];

test.each(refused)("refused: %s", (problem, podTemplate) => {
  const problems = problemsOf({ podTemplate });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`spec.podTemplate.${problem}`);
});

test("paths that only begin alike are not taken for the operator's", () => {
  for (const mountPath of ["/database", "/etc/tsdb-extra", "/data2"])
    expect(problemsOf({ podTemplate: database({ volumeMounts: [{ mountPath, name: "x" }] }) }), mountPath).toEqual([]);
});
