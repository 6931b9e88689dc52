/**
 * The operator dies right after each of its writes in turn, before it hears the answer, and is started again: what is in the
 * cluster in the end is what a life without accidents leaves there. A life has several deaths, a few writes apart; which
 * these are differs from life to life, so that there is one after every write.
 */
import { expect } from "vitest";
import { until } from "../support/until.ts";
import type { KubeObject } from "./support/api.ts";
import { condition, field } from "./support/api.ts";
import { database } from "./support/operator.ts";
import { childrenOf } from "./support/snapshot.ts";
import { test, TestCluster } from "./support/test-cluster.ts";
import type { RecordedRequest } from "./proxy/recording.ts";
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
/** Writes from one death to the next: as many lives as this are needed. */
const STRIDE = 6;
/** Lives at once: each mostly waits. */
const LANES = 3;

interface Life {
  readonly children: Awaited<ReturnType<typeof childrenOf>>;
  /** How many pods there ever were: a restart too many is a fault. */
  readonly pods: number;
  /** In their order, as `identified` names them. */
  readonly writes: readonly string[];
  /** After which of them the operator died. */
  readonly deaths: readonly string[];
}

/** @param fatal the writes after which the operator is killed */
async function live(fatal: ReadonlySet<string> = new Set()): Promise<Life> {
  const cluster = await TestCluster.shared();
  let failed = true;
  try {
    const { api, namespace, proxy } = cluster;
    const volumes = await SimulatedVolumes.start(api, namespace);
    const kubelet = await SimulatedKubelet.start(api, { namespace });
    let operator = Promise.resolve(await cluster.startOperator({ flags: FLAGS }));
    const writes: string[] = [];
    const deaths: string[] = [];
    let step = 0;
    const kill = async (): Promise<void> => {
      await (await operator).program.stop("SIGKILL");
      operator = cluster.startOperator({ flags: FLAGS });
      operator.catch(() => {}); // Awaited below; until then its failure is nobody's.
    };
    const isFatal = (request: RecordedRequest): boolean => {
      const write = identified(step, request, writes);
      writes.push(write);
      if (fatal.has(write)) deaths.push(write);
      return fatal.has(write);
    };
    proxy.inject({ isWrite: true, where: isFatal }, { kind: "after", run: kill }, { times: Infinity });
    for (const spec of LIFE) {
      step += 1;
      await cluster.apply(database(NAME, spec));
      await settled(cluster);
      await operator;
    }
    // One that was killed at the very end has yet to look around.
    await settled(cluster);
    const life = { children: await childrenOf(api, namespace, NAME), pods: kubelet.podsSeen, writes, deaths };
    await kubelet.stop();
    await volumes.stop();
    failed = false;
    return life;
  } finally {
    await cluster.close({ failed });
  }
}

/** Which write it is, in any life: of which spec, on what, and which one of those: `4: patch statefulsets metrics (1)`. */
function identified(step: number, { info }: RecordedRequest, earlier: readonly string[]): string {
  const { verb, resource, subresource, name } = info;
  const what = `${step}: ${verb} ${resource}${subresource === "" ? "" : `/${subresource}`}`;
  const write = resource === "events" ? what : `${what} ${name}`;
  return `${write} (${earlier.filter((one) => one.startsWith(`${write} (`)).length + 1})`;
}

/** An event goes with the operator that had yet to tell it, and of two states in a row it may see the second only. */
const mayBeLeftOut = (write: string): boolean => / (events|timeseriesdbs\/status) /.test(write);

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
  expect(whole.writes.length).toBeGreaterThan(LIFE.length);
  const deaths: string[] = [];
  const check = async (fatal: ReadonlySet<string>): Promise<void> => {
    const cut = await live(fatal);
    const when = `killed after ${cut.deaths.join(", ")}`;
    expect(cut.children, when).toEqual(whole.children);
    expect(cut.pods, when).toBe(whole.pods);
    deaths.push(...cut.deaths);
    console.log(`${when}: the same end`);
  };
  const shares = Array.from(
    { length: STRIDE },
    (_, share) => new Set(whole.writes.filter((_write, i) => i % STRIDE === share)),
  );
  const lane = async (): Promise<void> => {
    for (let share = shares.shift(); share !== undefined; share = shares.shift()) await check(share);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const missed = whole.writes.filter((write) => !deaths.includes(write));
  console.log(
    `${deaths.length} deaths after ${whole.writes.length} writes; none after ${missed.join(", ") || "no write"}`,
  );
  expect(missed.filter((write) => !mayBeLeftOut(write))).toEqual([]);
  for (const left of ["create events", "patch timeseriesdbs/status"])
    expect(deaths.some((write) => write.includes(left))).toBe(true);
}, 1_800_000);
