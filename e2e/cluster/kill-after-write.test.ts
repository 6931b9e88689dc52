/**
 * The operator dies right after each of its writes in turn, before it hears the answer, and is started again: what is in the
 * cluster in the end is what a life without accidents leaves there.
 */
import { expect } from "vitest";
import { until } from "../support/until.ts";
import type { KubeObject } from "./support/api.ts";
import { condition, field } from "./support/api.ts";
import { database } from "./support/operator.ts";
import { childrenOf } from "./support/snapshot.ts";
import { test, TestCluster } from "./support/test-cluster.ts";
import { SimulatedKubelet } from "./simulation/kubelet.ts";
import { SimulatedVolumes } from "./simulation/volumes.ts";

const NAME = "metrics";
const SIZE = { size: "1Gi" };
const NETWORK = { allowFrom: [{ namespaceSelector: {} }] };

/** A life: made, exposed, changed without and with a restart, grown, closed again. */
const LIFE: readonly object[] = [
  { storage: SIZE },
  { storage: SIZE, network: NETWORK },
  { storage: SIZE, network: NETWORK, retention: { time: "90d" } },
  { storage: SIZE, network: NETWORK, retention: { time: "90d" }, resources: { requests: { memory: "2Gi" } } },
  {
    storage: { size: "2Gi" },
    network: NETWORK,
    retention: { time: "90d" },
    resources: { requests: { memory: "2Gi" } },
  },
  { storage: { size: "2Gi" }, retention: { time: "90d" }, resources: { requests: { memory: "2Gi" } } },
];

/** Leases are renewed all the time; the sweep is about what the operator does. */
const FLAGS = ["--leader-elect=false", "--state-interval=1s"];
const QUIET_MS = 1_500;
/** Lives at once: each mostly waits. */
const LANES = 3;

interface Life {
  readonly children: Awaited<ReturnType<typeof childrenOf>>;
  /** How many pods there ever were: a restart too many is a fault. */
  readonly pods: number;
  readonly writes: number;
  readonly kills: number;
}

/** @param fatal the write after which the operator is killed, from 1; undefined: it lives */
async function live(fatal?: number): Promise<Life> {
  const cluster = await TestCluster.shared();
  let failed = true;
  try {
    const { api, namespace, proxy } = cluster;
    const volumes = await SimulatedVolumes.start(api, namespace);
    const kubelet = await SimulatedKubelet.start(api, { namespace });
    let operator = Promise.resolve(await cluster.startOperator({ flags: FLAGS }));
    let kills = 0;
    const kill = async (): Promise<void> => {
      kills += 1;
      await (await operator).program.stop("SIGKILL");
      operator = cluster.startOperator({ flags: FLAGS });
      operator.catch(() => {}); // Awaited below; until then its failure is nobody's.
    };
    let writes = 0;
    const isFatal = () => ++writes === fatal;
    proxy.inject({ isWrite: true, where: isFatal }, { kind: "after", run: kill });
    for (const spec of LIFE) {
      await cluster.apply(database(NAME, spec));
      await settled(cluster);
      await operator;
    }
    // One that was killed at the very end has yet to look around.
    await settled(cluster);
    const life = { children: await childrenOf(api, namespace, NAME), pods: kubelet.podsSeen, writes, kills };
    await kubelet.stop();
    await volumes.stop();
    failed = false;
    return life;
  } finally {
    await cluster.close({ failed });
  }
}

/** The database is as its spec says, and the operator has nothing more to write. */
async function settled({ api, namespace, proxy }: TestCluster): Promise<void> {
  const reference = { apiVersion: "tsdb.dev/v1", kind: "TimeSeriesDB", name: NAME, namespace };
  const isDone = (object: KubeObject) =>
    field(object, "status.observedGeneration") === object.metadata.generation &&
    ["Ready", "Reconciled", "StorageResized"].every((type) => condition(object, type)?.["status"] === "True") &&
    condition(object, "Progressing")?.["status"] === "False";
  await api.waitFor(reference, "to be as its spec says", isDone, { timeoutMs: 240_000 });
  await until("the operator to write no more", () => {
    const last = proxy.writes().at(-1);
    return last === undefined || performance.now() - last.atMs > QUIET_MS ? true : undefined;
  });
}

test("killed after any of its writes, the operator ends where a life without accidents ends", async () => {
  const whole = await live();
  expect(whole.writes).toBeGreaterThan(LIFE.length);
  let kills = 0;
  const check = async (fatal: number): Promise<void> => {
    const cut = await live(fatal);
    const when = `killed after write ${fatal} of ${whole.writes}`;
    // What is said twice in a row may be said once, so a life can be a write or two shorter.
    expect(cut.kills === 1 || cut.writes < fatal, when).toBe(true);
    expect(cut.children, when).toEqual(whole.children);
    expect(cut.pods, when).toBe(whole.pods);
    kills += cut.kills;
    console.log(`${when}: the same end`);
  };
  const fatalWrites = Array.from({ length: whole.writes }, (_, i) => i + 1);
  const lane = async (): Promise<void> => {
    for (let fatal = fatalWrites.shift(); fatal !== undefined; fatal = fatalWrites.shift()) await check(fatal);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`${kills} kills, ${whole.writes} writes in a life of ${LIFE.length} specs: the same end each time`);
}, 1_800_000);
