/**
 * What a user does in the first weeks, in real pods of the image that the Dockerfile builds, admitted by Pod Security at
 * `restricted`, on volumes of a real size. The tests are steps of one journey: each goes on where the one before ended.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, statfsSync, statSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { releaseImage } from "../../../src/operator/release.ts";
import { peerProgram } from "../../support/peers.ts";
import { until } from "../../support/until.ts";
import { Workspace } from "../../support/workspace.ts";
import { imageArchive } from "../image/image.ts";
import { ClusterWithNode, nodeObstacle } from "../node/node.ts";
import { Api, condition, field, type KubeObject, type Reference } from "../support/api.ts";
import { CHART, helm, kubectl } from "../support/helm.ts";
import { buildPrograms } from "../support/programs.ts";
import { keepAuditLog } from "../support/test-cluster.ts";
import { Ledger } from "./ledger.ts";
import { pathSeenBy, podState, processOf, type PodState } from "./pod.ts";
import { prometheusImage, prometheusObjects } from "./prometheus.ts";

const OPERATOR_NAMESPACE = "tsdb-system";
const NAMESPACE = "metrics-team";
const NEXT_IMAGE = `${releaseImage}-next`;
const [MIB, GIB] = [2 ** 20, 2 ** 30];
const HOUR_MS = 3_600_000;
/** How the database is started in its container, as the machine sees it. */
const ENGINE = "/bin/tsdb start";

const obstacle =
  nodeObstacle() ??
  (existsSync("/usr/bin/buildah") ? undefined : "the image is built by buildah: apt-get install buildah");

let workspace: Workspace;
let cluster: ClusterWithNode;
let api: Api;
let ledger: Ledger;
let hasFailed = false;

beforeAll(async () => {
  if (obstacle !== undefined) return;
  peerProgram("prometheus");
  await buildPrograms(["helm", "kubectl"]);
  workspace = new Workspace("journey");
  const [archive, next] = [workspace.path("tsdb.tar"), workspace.path("tsdb-next.tar")];
  imageArchive(archive);
  imageArchive(next, NEXT_IMAGE, "next");
  cluster = await ClusterWithNode.start(workspace);
  for (const file of [archive, next, prometheusImage(workspace.folder)]) cluster.load(file);
  console.log(`the image is ${Math.round(statSync(archive).size / MIB)} MiB unpacked`);
  for (const file of [archive, next]) rmSync(file);
  api = await Api.fromKubeconfig(cluster.plane.kubeconfig);
  for (const name of [OPERATOR_NAMESPACE, NAMESPACE])
    await api.apply({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
  ledger = new Ledger(async () => {
    const pod = await podState(api, NAMESPACE, "metrics-0").catch(() => undefined);
    return pod?.ip === undefined || !pod.isReady ? undefined : `http://${pod.ip}:8080`;
  });
}, HOUR_MS);

afterAll(async () => {
  if (obstacle !== undefined) return;
  await ledger?.stop();
  api?.close();
  if (cluster !== undefined) keepAuditLog(cluster.plane);
  await cluster?.stop();
  await workspace?.close({ failed: hasFailed });
}, 300_000);

beforeEach(({ skip }) => {
  if (obstacle !== undefined) skip(obstacle);
  if (hasFailed) skip("a step before it failed");
});

afterEach(({ task }) => {
  hasFailed ||= task.result?.state === "fail";
});

const database: Reference = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", name: "metrics", namespace: NAMESPACE };
const claim: Reference = {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  name: "data-metrics-0",
  namespace: NAMESPACE,
};
const node: Reference = { apiVersion: "v1", kind: "Node", name: "node-1" };
const statefulSet: Reference = { apiVersion: "apps/v1", kind: "StatefulSet", name: "metrics", namespace: NAMESPACE };

const ctl = (...args: readonly string[]): string => kubectl(cluster.plane.kubeconfig, ...args);
const patch = (spec: object): string =>
  ctl("patch", "--namespace", NAMESPACE, "tsdb", "metrics", "--type=merge", "-p", JSON.stringify({ spec }));
const pod = async (): Promise<PodState> => (await podState(api, NAMESPACE, "metrics-0"))!;
const isTrue = (type: string) => (object: KubeObject) => condition(object, type)?.["status"] === "True";
const operatorChart = (command: string, ...flags: readonly string[]): string => {
  const to = ["--kubeconfig", cluster.plane.kubeconfig, "--namespace", OPERATOR_NAMESPACE];
  return helm(command, "tsdb-operator", CHART, ...to, "--wait", "--timeout=5m", ...flags);
};

async function query(text: string): Promise<readonly { readonly value: readonly [number, string] }[]> {
  const { ip } = await pod();
  const response = await fetch(`http://${ip}:8080/api/v1/query?query=${encodeURIComponent(text)}`);
  return ((await response.json()) as { data: { result: readonly { value: readonly [number, string] }[] } }).data.result;
}

/** Waits until the sender has been heard this many more times. */
const heard = async (times: number): Promise<void> => {
  const before = ledger.acknowledged;
  await until(
    `${times} more writes to be acknowledged`,
    () => (ledger.acknowledged >= before + times ? true : undefined),
    {
      timeoutMs: 120_000,
    },
  );
};

test("helm installs the operator, and says what to do next", () => {
  const notes = operatorChart("install");
  expect(notes).toContain("looks after the databases of all namespaces");
  expect(notes).toContain("kubectl wait --for=condition=Ready timeseriesdb/metrics");
}, 600_000);

test("examples/minimal.yaml becomes a database that is ready by its probes", async () => {
  const started = performance.now();
  expect(ctl("apply", "--namespace", NAMESPACE, "-f", "examples/minimal.yaml")).toBe(
    "timeseriesdb.tsdb.dev/metrics created\n",
  );
  ctl("wait", "--namespace", NAMESPACE, "--for=condition=Ready", "timeseriesdb/metrics", "--timeout=5m");
  console.log(`ready ${((performance.now() - started) / 1000).toFixed(1)} s after kubectl apply`);
  expect(await pod()).toMatchObject({ isReady: true, restarts: 0, image: releaseImage });
  const { status } = await api.get(database);
  expect(field(status, "phase")).toBe("Ready");
  expect(field(status, "endpoints.write")).toBe(`http://metrics.${NAMESPACE}.svc:8080/api/v1/write`);
  expect(field(status, "members.0")).toMatchObject({ name: "metrics-0", ready: true });
  ledger.start();
  await heard(10);
}, 600_000);

test("a Prometheus in the cluster writes to it through its Service, and a query answers", async () => {
  for (const object of prometheusObjects(`metrics.${NAMESPACE}.svc:8080`))
    await api.apply({ ...object, metadata: { ...object.metadata, namespace: NAMESPACE } });
  const up = await until(
    "a sample of Prometheus'",
    async () => ((await query('up{job="tsdb"}')).length > 0 ? query('up{job="tsdb"}') : undefined),
    { timeoutMs: 180_000, everyMs: 500 },
  );
  expect(up[0]!.value[1]).toBe("1");
}, 300_000);

test("retention changes without a restart", async () => {
  const before = await pod();
  const started = performance.now();
  patch({ retention: { time: "3d" } });
  const isApplied = (object: KubeObject) =>
    field(object, "status.observedGeneration") === object.metadata.generation && isTrue("ConfigApplied")(object);
  await api.waitFor(database, "to have its retention in force", isApplied, { timeoutMs: 180_000 });
  console.log(`in force ${((performance.now() - started) / 1000).toFixed(1)} s after the change`);
  const answer = await fetch(`http://${before.ip}:8080/api/v1/admin/retention`);
  expect(await answer.text()).toContain('"3d"');
  expect(await pod()).toEqual(before);
}, 300_000);

test("a killed process and a killed pod come back with what they had", async () => {
  const before = await pod();
  process.kill(processOf(before.uid, ENGINE), "SIGKILL");
  await until(
    "the container to be started again",
    async () => {
      const after = await pod();
      return after.uid === before.uid && after.restarts === 1 && after.isReady ? true : undefined;
    },
    { timeoutMs: 120_000 },
  );
  await heard(5);
  ctl("delete", "pod", "--namespace", NAMESPACE, "metrics-0", "--grace-period=0", "--force");
  await until(
    "another pod",
    async () => {
      const after = await podState(api, NAMESPACE, "metrics-0");
      return after !== undefined && after.uid !== before.uid && after.isReady ? true : undefined;
    },
    { timeoutMs: 180_000 },
  );
  await heard(5);
  expect(await pod()).toMatchObject({ restarts: 0, image: releaseImage });
}, 600_000);

test("a kubelet that is started again restarts nothing", async () => {
  const before = await pod();
  await cluster.kubelet.stop();
  await heard(5);
  const heartbeat = async () => condition(await api.get(node), "Ready")?.["lastHeartbeatTime"];
  const last = await heartbeat();
  cluster.startKubelet();
  // It has looked at the pods, and says again that it is well.
  await until("the kubelet to be back", async () => ((await heartbeat()) === last ? undefined : true), {
    timeoutMs: 120_000,
  });
  await heard(20);
  // It calls the pods of its predecessor unready until their startup probe has passed once more.
  await until("the pod to be called ready again", async () => ((await pod()).isReady ? true : undefined), {
    timeoutMs: 60_000,
  });
  expect(await pod()).toEqual(before);
}, 300_000);

test("an operator of another build takes over, and neither writes to nor restarts what it finds", async () => {
  const before = await pod();
  const written = (await api.get(statefulSet)).metadata.generation;
  operatorChart("upgrade", "--set", `image.tag=${NEXT_IMAGE.split(":")[1]}`);
  const pods = await api.list("v1", "Pod", OPERATOR_NAMESPACE);
  const running = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  expect(running.map((each) => field(each, "spec.containers.0.image"))).toEqual([NEXT_IMAGE]);
  // It acts: what is asked of it is done.
  patch({ retention: { time: "4d" } });
  const isSeen = (object: KubeObject) => field(object, "status.observedGeneration") === object.metadata.generation;
  await api.waitFor(database, "to be seen by the new operator", isSeen, { timeoutMs: 120_000 });
  expect((await api.get(statefulSet)).metadata.generation).toBe(written);
  expect(await pod()).toEqual(before);
}, 600_000);

test("a volume grows while it is written to, and takes more than it had", async () => {
  const before = await pod();
  patch({ storage: { size: "12Gi" } });
  const isGrown = (object: KubeObject) =>
    field(object, "status.members.0.volume.capacity") === "12Gi" && isTrue("StorageResized")(object);
  await api.waitFor(database, "to have a volume of 12Gi", isGrown, { timeoutMs: 240_000 });
  const volume = pathSeenBy(processOf(before.uid, ENGINE), "/data");
  const filler = `${volume}/filler`;
  const { status, stderr } = spawnSync("fallocate", ["--length", String(10.5 * GIB), filler], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const { bsize, blocks, bfree } = statfsSync(volume);
  expect((blocks - bfree) * bsize).toBeGreaterThan(10 * GIB);
  await heard(20);
  rmSync(filler);
  expect(await pod()).toEqual(before);
}, 600_000);

test("deleted and made again, the database has its data", async () => {
  const volume = (await api.get(claim)).metadata.uid;
  ctl("delete", "--namespace", NAMESPACE, "tsdb", "metrics", "--wait=true", "--timeout=2m");
  await api.waitForAbsence(statefulSet, { timeoutMs: 120_000 });
  await api.waitForAbsence(
    { apiVersion: "v1", kind: "Pod", name: "metrics-0", namespace: NAMESPACE },
    { timeoutMs: 180_000 },
  );
  expect((await api.get(claim)).metadata.uid).toBe(volume);
  ctl("apply", "--namespace", NAMESPACE, "-f", "examples/minimal.yaml");
  ctl("wait", "--namespace", NAMESPACE, "--for=condition=Ready", "timeseriesdb/metrics", "--timeout=5m");
  expect((await api.get(claim)).metadata.uid).toBe(volume);
  await heard(20);
}, 600_000);

test("without its operator the database goes on, and the kind stays", async () => {
  const before = await pod();
  helm(
    "uninstall",
    "tsdb-operator",
    "--kubeconfig",
    cluster.plane.kubeconfig,
    "--namespace",
    OPERATOR_NAMESPACE,
    "--wait",
  );
  await api.get({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    name: "timeseriesdbs.tsdb.dev",
  });
  await heard(10);
  expect(await pod()).toEqual(before);
}, 300_000);

test("nothing that was acknowledged on the way is lost", async () => {
  await ledger.stop();
  const { sent, acknowledged, lost } = await ledger.check();
  console.log(`${sent} samples sent, ${acknowledged} acknowledged, ${lost.length} lost`);
  expect(acknowledged).toBeGreaterThan(200);
  expect(lost).toEqual([]);
}, 120_000);
