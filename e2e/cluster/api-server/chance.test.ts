/**
 * Faults and changes by chance, all at once, for as long as FAULT_MINUTES says: a minute in every run of the tests, an hour in
 * `npm run soak -- operator`. Databases come and go, others change our objects, requests fail in every way and watches lie;
 * in the end all is as was asked for, and once everything is deleted nothing is left but the volumes.
 */
import { expect } from "vitest";
import { sleep, until } from "../../support/until.ts";
import type { Rule } from "../proxy/fault-proxy.ts";
import type { RecordedRequest } from "../proxy/recording.ts";
import { at, quiet, writes, writesDuring } from "../reconcile/scene.ts";
import { field } from "../support/api.ts";
import { database } from "../support/operator.ts";
import { test } from "../support/test-cluster.ts";
import type { TestCluster } from "../support/test-cluster.ts";
import { leading, reconciled } from "./leading.ts";

const FAULT_MINUTES = Number(process.env["FAULT_MINUTES"] ?? 1);
/** From here on there are enough measurements for memory to be judged. */
const MINUTES_JUDGED = 20;
/** Nothing is written for so long once all is as it should be. */
const REST_MS = 15_000;
const NAMES = ["one", "two", "three", "four"];

const REQUEST_FAULTS = [
  { kind: "status", code: 409 },
  { kind: "status", code: 500 },
  { kind: "status", code: 503 },
  { kind: "status", code: 429, retryAfterSeconds: 1 },
  { kind: "reset" },
  { kind: "lost-answer" },
  { kind: "latency", ms: 700 },
] as const;
const WATCH_FAULTS = ["end", "cut", "gone", "error", "garbage", "truncate"] as const;

/** Whole numbers below a limit, the same for the same seed. */
function chances(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}

test(
  "faults of every kind by chance, databases that come and go: all becomes as it should be, then nothing is written",
  async ({ cluster }) => {
    const { proxy, namespace, api } = cluster;
    const operator = await cluster.startOperator();
    await leading(operator);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
    const below = chances(seed);
    console.log(`seed ${seed}`);
    const ours = { namespace, userAgent: /tsdb-operator/ } as const;
    const wanted = new Map<string, Changes>();
    const rules: Rule[] = [];
    const residentMb: number[] = [];
    let steps = 0;
    const startMs = performance.now();
    const endMs = startMs + FAULT_MINUTES * 60_000;
    while (performance.now() < endMs) {
      steps++;
      rules.push(proxy.inject({ ...ours, where: ({ info }) => info.resource !== "leases" }, REQUEST_FAULTS[below(7)]!));
      const open = proxy.watches(ours);
      if (open.length > 0) open[below(open.length)]!.disturb(WATCH_FAULTS[below(6)]!);
      await change(cluster, NAMES[below(NAMES.length)]!, wanted, below);
      if (performance.now() - startMs > residentMb.length * 60_000)
        residentMb.push((await operator.metric("process_resident_memory_bytes")) / 1e6);
      await sleep(200 + below(600));
    }
    for (const rule of rules) rule.remove();
    await watchesAll(cluster);
    await quiet(cluster, REST_MS);
    for (const [name, { time, hasPolicy }] of wanted) {
      await reconciled(cluster, name);
      const config = await api.get(at(cluster, "ConfigMap", `${name}-config`));
      expect(JSON.stringify(field(config, "data")), name).toContain(`retention: ${time}\\n`);
      const policy = at(cluster, "NetworkPolicy", name);
      if (hasPolicy) expect(await api.find(policy), name).toBeDefined();
      // That of a predecessor goes when Kubernetes collects it, which the operator does not wait for.
      else await api.waitForAbsence(policy, { timeoutMs: 60_000 });
    }
    expect(await writesDuring(cluster, () => sleep(REST_MS))).toEqual([]);
    const deletions = writes(cluster).filter(({ info }) => info.verb === "delete");
    expect(deletions.filter(({ info }) => info.resource !== "networkpolicies")).toEqual([]);
    expect(operator.program.isRunning).toBe(true);
    expect(await operator.metric("tsdb_operator_watch_missed_total")).toBe(0);

    for (const name of wanted.keys()) await api.delete(at(cluster, "TimeSeriesDB", name));
    for (const name of NAMES)
      for (const kind of ["StatefulSet", "Service", "NetworkPolicy"] as const)
        await api.waitForAbsence(at(cluster, kind, name), { timeoutMs: 60_000 });
    await quiet(cluster);
    const megabytes = residentMb.map((each) => each.toFixed(0)).join(" ");
    console.log(`${steps} steps in ${FAULT_MINUTES} min, resident memory by minute: ${megabytes} MB`);
    if (FAULT_MINUTES < MINUTES_JUDGED) return;
    const third = Math.floor(residentMb.length / 3);
    expect(mean(residentMb.slice(-third))).toBeLessThan(1.1 * mean(residentMb.slice(third, -third)));
  },
  300_000 + FAULT_MINUTES * 90_000,
);

/** Waits until the operator sees everything again: what it missed meanwhile it learns, and mends, only then. */
const watchesAll = ({ proxy, namespace }: TestCluster): Promise<true> => {
  const resourcesOf = (requests: readonly RecordedRequest[]) => new Set(requests.map(({ info }) => info.resource));
  const its = { namespace, userAgent: /tsdb-operator/, verb: "watch" } as const;
  return until(
    "the operator to watch all that it ever watched",
    () => {
      const open = resourcesOf(proxy.watches(its).map(({ request }) => request));
      return resourcesOf(proxy.recorded(its)).isSubsetOf(open) ? true : undefined;
    },
    { timeoutMs: 60_000 },
  );
};

/** What was last asked of a database. */
interface Changes {
  readonly time: string;
  readonly hasPolicy: boolean;
}

async function change(
  cluster: TestCluster,
  name: string,
  wanted: Map<string, Changes>,
  below: (limit: number) => number,
): Promise<void> {
  const { api } = cluster;
  const reference = at(cluster, "TimeSeriesDB", name);
  const now = wanted.get(name);
  // No whole weeks: the engine's file has those in weeks.
  const asked = { time: `${7 * below(12) + 1 + below(6)}d`, hasPolicy: below(2) === 0 };
  const spec = { retention: { time: asked.time }, network: asked.hasPolicy ? { allowFrom: [] } : null };
  if (now === undefined) {
    const { network, ...rest } = spec;
    await cluster.apply(database(name, network === null ? rest : { ...rest, network }));
  } else if (below(6) === 0) {
    await api.delete(reference);
    wanted.delete(name);
    return;
  } else if (below(3) === 0) {
    await api.delete(at(cluster, "Service", name));
    return;
  } else await api.patch(reference, { spec });
  wanted.set(name, asked);
}

const mean = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;
