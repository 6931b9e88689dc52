import { expect, test } from "vitest";
import type { KubeObject, OwnedFields } from "../../../src/operator/cluster/objects.ts";
import { difference } from "../../../src/operator/reconcile/difference.ts";

const objectOf = (spec: object, metadata: object = {}): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name: "metrics", namespace: "monitoring", ...metadata },
  spec,
});

interface Case {
  readonly what: string;
  readonly desired: object;
  readonly live: object;
  /** Of the spec; absent: not known. */
  readonly owned?: OwnedFields;
  readonly changed?: readonly string[];
  readonly dropped?: readonly string[];
}

const leaf: OwnedFields = {};
const container = { name: "tsdb", image: "tsdb:1", env: [{ name: "A", value: "1" }] };
const liveContainer = { ...container, imagePullPolicy: "Always", terminationMessagePath: "/dev/termination-log" };
const ownedContainers: OwnedFields = {
  "f:containers": {
    'k:{"name":"tsdb"}': {
      ".": leaf,
      "f:name": leaf,
      "f:image": leaf,
      "f:env": { 'k:{"name":"A"}': { ".": leaf, "f:name": leaf, "f:value": leaf } },
    },
  },
};

const cases: readonly Case[] = [
  { what: "the same is nothing", desired: { replicas: 1 }, live: { replicas: 1 } },
  {
    what: "what the server filled in is the server's",
    desired: { replicas: 1 },
    live: { replicas: 1, revisionHistoryLimit: 10, updateStrategy: { type: "RollingUpdate" } },
    owned: { "f:replicas": leaf },
  },
  { what: "another value is a change", desired: { replicas: 1 }, live: { replicas: 3 }, changed: ["spec.replicas"] },
  { what: "a field that is gone is a change", desired: { paused: true }, live: {}, changed: ["spec.paused"] },
  {
    what: "a spelling of a quantity is none",
    desired: { resources: { requests: { cpu: 1, memory: "1Gi" }, limits: { cpu: "0.5" } } },
    live: { resources: { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { cpu: "500m" } } },
  },
  {
    what: "another quantity is a change",
    desired: { resources: { requests: { cpu: "1" } } },
    live: { resources: { requests: { cpu: "1001m" } } },
    changed: ["spec.resources.requests.cpu"],
  },
  {
    what: "a quantity finer than the server knows is rounded up as it does",
    desired: { emptyDir: { sizeLimit: "0.0000000001" } },
    live: { emptyDir: { sizeLimit: "1n" } },
  },
  {
    what: "elsewhere a text is a text",
    desired: { env: "1", labels: { requests: "1" } },
    live: { env: "1000m", labels: { requests: "1000m" } },
    changed: ["spec.env", "spec.labels.requests"],
  },
  {
    what: "items of a list with keys are found by them, whoever added others, in whatever order",
    desired: { containers: [container] },
    live: { containers: [{ name: "injected", image: "mesh" }, liveContainer] },
    owned: ownedContainers,
  },
  {
    what: "an item of such a list that changed is named",
    desired: { containers: [{ ...container, image: "tsdb:2", env: [{ name: "A", value: "2" }] }] },
    live: { containers: [liveContainer] },
    owned: ownedContainers,
    changed: ["spec.containers[tsdb].image", "spec.containers[tsdb].env[A].value"],
  },
  {
    what: "an item that is new is a change",
    desired: { containers: [container, { name: "sidecar", image: "s" }] },
    live: { containers: [liveContainer] },
    owned: ownedContainers,
    changed: ["spec.containers[1]"],
  },
  {
    what: "an item that somebody took away is a change",
    desired: { containers: [container] },
    live: { containers: [{ name: "other", image: "s" }] },
    owned: ownedContainers,
    changed: ["spec.containers[tsdb]"],
  },
  {
    what: "a field, an item and a whole part that are not wanted any more are dropped",
    desired: { containers: [{ name: "tsdb", image: "tsdb:1" }] },
    live: { containers: [liveContainer, { name: "sidecar", image: "s" }], nodeSelector: { pool: "a" } },
    owned: {
      "f:nodeSelector": { "f:pool": leaf },
      "f:containers": {
        ...ownedContainers["f:containers"],
        'k:{"name":"sidecar"}': { ".": leaf, "f:name": leaf, "f:image": leaf },
      },
    },
    dropped: ["spec.nodeSelector", "spec.containers[tsdb].env", "spec.containers[sidecar]"],
  },
  {
    what: "what others own is not dropped",
    desired: { containers: [container] },
    live: { containers: [liveContainer], nodeSelector: { pool: "a" } },
    owned: ownedContainers,
  },
  {
    what: "an item that leaves a key to its default is found by it",
    desired: { ports: [{ containerPort: 9000 }] },
    live: { ports: [{ containerPort: 9000, protocol: "TCP" }] },
    owned: { "f:ports": { 'k:{"containerPort":9000,"protocol":"TCP"}': { ".": leaf, "f:containerPort": leaf } } },
  },
  {
    what: "of a set, values that are missing and values that are not wanted are seen",
    desired: { finalizers: ["a", "b"] },
    live: { finalizers: ["a", "c", "theirs"] },
    owned: { "f:finalizers": { 'v:"a"': leaf, 'v:"c"': leaf } },
    changed: ["spec.finalizers"],
    dropped: ['spec.finalizers["c"]'],
  },
  {
    what: "a list that is one value is compared item by item, with the server's defaults in them",
    desired: { volumeClaimTemplates: [{ metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } }] },
    live: {
      volumeClaimTemplates: [
        { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem" } },
      ],
    },
    owned: { "f:volumeClaimTemplates": leaf },
  },
  {
    what: "in a list that is one value an item of somebody's is a change",
    desired: { tolerations: [{ key: "a" }] },
    live: { tolerations: [{ key: "a" }, { key: "b" }] },
    owned: { "f:tolerations": leaf },
    changed: ["spec.tolerations"],
  },
  {
    what: "a selector that somebody widened is not ours any more, and is a change",
    desired: { policyTypes: ["Ingress"], selector: { app: "tsdb" }, ingress: [{ from: [{ podSelector: {} }] }] },
    live: {
      policyTypes: ["Ingress"],
      selector: { app: "tsdb", version: "2" },
      ingress: [{ from: [{ podSelector: {}, namespaceSelector: {} }] }],
    },
    owned: { "f:policyTypes": leaf },
    changed: ["spec.selector", "spec.ingress"],
  },
  {
    what: "what is nothing may be left out, as long as it is ours",
    desired: { stdin: false, emptyDir: { medium: "" }, priority: 0 },
    live: {},
    owned: { "f:stdin": leaf, "f:emptyDir": { "f:medium": leaf }, "f:priority": leaf },
  },
  {
    what: "what is nothing, was kept, and has been taken away is a change",
    desired: { automountServiceAccountToken: false, replicas: 0 },
    live: {},
    owned: { "f:other": { "f:part": leaf } },
    changed: ["spec.automountServiceAccountToken", "spec.replicas"],
    dropped: ["spec.other"],
  },
  {
    what: "what is empty may be left out",
    desired: { nodeSelector: {}, tolerations: [] },
    live: {},
    owned: { "f:nodeSelector": leaf, "f:tolerations": leaf },
  },
];

test.each(cases)("$what", ({ desired, live, owned, changed = [], dropped = [] }) => {
  const found = difference(objectOf(desired), objectOf(live), owned && { "f:spec": owned });
  expect(found).toEqual(changed.length + dropped.length === 0 ? undefined : { isMissing: false, changed, dropped });
});

test("an object that is not there is missing", () => {
  expect(difference(objectOf({}), undefined, undefined)).toEqual({ isMissing: true, changed: [], dropped: [] });
});

test("annotations and owners are told apart by name and uid, and those of others stay", () => {
  const owner = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", name: "metrics", uid: "1" };
  const live = objectOf(
    {},
    { annotations: { "tsdb.dev/image": "a", theirs: "x" }, ownerReferences: [{ ...owner, uid: "0" }, owner] },
  );
  const owned = {
    "f:metadata": {
      "f:annotations": { "f:tsdb.dev/image": leaf, "f:tsdb.dev/old": leaf },
      "f:ownerReferences": { 'k:{"uid":"1"}': leaf },
    },
  };
  const metadata = { annotations: { "tsdb.dev/image": "b" }, ownerReferences: [owner] };
  expect(difference(objectOf({}, metadata), live, owned)).toEqual({
    isMissing: false,
    changed: ["metadata.annotations[tsdb.dev/image]"],
    dropped: ["metadata.annotations[tsdb.dev/old]"],
  });
  expect(difference(objectOf({}, { annotations: { "tsdb.dev/image": "a" } }), live, owned)?.dropped).toEqual([
    "metadata.annotations[tsdb.dev/old]",
    "metadata.ownerReferences",
  ]);
});
