/**
 * Plays scheduler and kubelet on a control plane that has neither: pods of one namespace are bound to a node, get an address
 * and become ready by writes of their status; those that are deleted go. Nothing runs. What a pod does is a plan that a
 * test may change at any time: the real programs behind the other controllers see no difference.
 *
 * Where pods' engines are asked for their state (http://POD_IP:8081/-/state), an address of 127.0.0.0/8 answers for each.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { field, referenceTo } from "../support/api.ts";
import type { Api, KubeObject } from "../support/api.ts";
import { EngineListeners } from "./engines.ts";
import { followed } from "./follow.ts";

/** What becomes of a pod that is bound. */
export type Plan = "ready" | "unready" | "crash-looping" | "image-missing" | "unschedulable";

export interface SimulatedKubeletOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly plan?: (pod: KubeObject) => Plan;
  /** Whether pods' probe listeners answer. */
  readonly engines?: boolean;
}

export const NODE_NAME = "simulated";

export class SimulatedKubelet {
  /** Pods there ever were. */
  podsSeen = 0;
  /** May be set anew; `replan` makes it count for pods that exist. */
  plan: (pod: KubeObject) => Plan;
  readonly engines: EngineListeners | undefined;
  readonly #api: Api;
  readonly #ended = new AbortController();
  readonly #following: Promise<void>;
  readonly #pods = new Map<string, KubeObject>();
  readonly #addresses = new Map<string, string>();
  readonly #failures: unknown[] = [];
  /** An API server that is away for a test hears the next one. */
  readonly #beating = setInterval(() => void heartbeat(this.#api).catch(() => {}), HEARTBEAT_MS);

  private constructor(api: Api, { namespace, plan, engines }: SimulatedKubeletOptions) {
    this.#api = api;
    this.plan = plan ?? (() => "ready");
    this.engines = engines === false ? undefined : new EngineListeners(api, namespace);
    const of = { apiVersion: "v1", kind: "Pod", ...(namespace === undefined ? {} : { namespace }) };
    this.#following = followed(api, of, this.#ended.signal, (type, pod) => this.#seen(type, pod));
  }

  static async start(api: Api, options: SimulatedKubeletOptions = {}): Promise<SimulatedKubelet> {
    // Pods of a node that is not there, or does not say that it lives, are taken away by the control plane.
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: NODE_NAME } };
    await api.apply(node);
    await heartbeat(api);
    const ready = { type: "Ready", status: "True", reason: "Simulated", message: "nothing runs here" };
    const times = { lastTransitionTime: SOME_TIME, lastHeartbeatTime: new Date().toISOString() };
    await api.patch(referenceTo(node), { status: { conditions: [{ ...ready, ...times }] } }, "status");
    return new SimulatedKubelet(api, options);
  }

  /** Looks at all pods again, after `plan` was changed. */
  async replan(): Promise<void> {
    await Promise.all([...this.#pods.values()].map((pod) => this.#act(pod)));
  }

  /** @throws what went wrong meanwhile */
  async stop(): Promise<void> {
    clearInterval(this.#beating);
    this.#ended.abort();
    await this.#following;
    await this.engines?.close();
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, "the simulated kubelet failed");
  }

  #seen(type: string, pod: KubeObject): void {
    const uid = String(pod.metadata.uid);
    if (type === "DELETED") {
      this.#pods.delete(uid);
      this.#addresses.delete(uid);
      this.engines?.remove(uid);
      return;
    }
    if (!this.#pods.has(uid)) this.podsSeen += 1;
    this.#pods.set(uid, pod);
    this.#act(pod).catch((thrown: unknown) => this.#failures.push(thrown));
  }

  async #act(pod: KubeObject): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const path = await this.#api.pathOf(referenceTo(pod));
    if (pod.metadata.deletionTimestamp !== undefined) {
      // With a body the query would not be read.
      const options = { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 0 };
      await this.#write("DELETE", path, { ...options, preconditions: { uid: pod.metadata.uid } });
      return;
    }
    const plan = this.plan(pod);
    if (field(pod, "spec.nodeName") === undefined) await this.#schedule(pod, path, plan);
    else await this.#report(pod, path, plan);
  }

  #again(pod: KubeObject): void {
    const latest = this.#pods.get(String(pod.metadata.uid));
    if (latest !== undefined) this.#act(latest).catch((thrown: unknown) => this.#failures.push(thrown));
  }

  async #schedule(pod: KubeObject, path: string, plan: Plan): Promise<void> {
    const unbound = await this.#unboundClaim(pod);
    if (plan === "unschedulable" || unbound !== undefined) {
      const why = unbound ?? "0/1 nodes are available: 1 Insufficient memory.";
      const message = unbound === undefined ? why : `pod has unbound immediate PersistentVolumeClaims: ${unbound}`;
      const scheduled = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
      await this.#patchStatus(pod, path, { conditions: [{ ...scheduled, lastTransitionTime: SOME_TIME }] });
      // A scheduler hears of claims that change; here it looks again.
      if (unbound !== undefined) void sleep(300).then(() => this.#again(pod));
      return;
    }
    const target = { apiVersion: "v1", kind: "Node", name: NODE_NAME };
    const binding = { apiVersion: "v1", kind: "Binding", metadata: { name: pod.metadata.name }, target };
    await this.#write("POST", `${path}/binding`, binding);
  }

  /** A claim of the pod that has no volume yet. */
  async #unboundClaim(pod: KubeObject): Promise<string | undefined> {
    const volumes = (field(pod, "spec.volumes") ?? []) as readonly object[];
    for (const volume of volumes) {
      const name = field(volume, "persistentVolumeClaim.claimName") as string | undefined;
      if (name === undefined) continue;
      const namespace = String(pod.metadata.namespace);
      const claim = await this.#api.find({ apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace });
      if (field(claim, "status.phase") !== "Bound") return name;
    }
    return undefined;
  }

  async #report(pod: KubeObject, path: string, plan: Plan): Promise<void> {
    const podIP = await this.#addressOf(pod);
    const isReady = plan === "ready";
    const condition = (type: string, holds: boolean) => ({
      type,
      status: holds ? "True" : "False",
      lastTransitionTime: SOME_TIME,
      ...(holds ? {} : { reason: "ContainersNotReady", message: "containers with unready status" }),
    });
    const containers = field(pod, "spec.containers") as readonly { readonly name: string; readonly image: string }[];
    const isRunning = plan === "ready" || plan === "unready";
    await this.#patchStatus(pod, path, {
      phase: plan === "image-missing" ? "Pending" : "Running",
      hostIP: "127.0.0.1",
      hostIPs: [{ ip: "127.0.0.1" }],
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: SOME_TIME,
      conditions: [
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", isReady),
        condition("Ready", isReady),
      ],
      containerStatuses: containers.map(({ name, image }) => ({
        name,
        image,
        imageID: isRunning ? `${image}@sha256:${"0".repeat(64)}` : "",
        ready: isReady,
        started: isRunning,
        restartCount: plan === "crash-looping" ? 5 : 0,
        state: stateOf(plan, image),
        ...(plan === "crash-looping" && { lastState: { terminated: CRASH } }),
      })),
    });
  }

  async #addressOf(pod: KubeObject): Promise<string> {
    const uid = String(pod.metadata.uid);
    const known = this.#addresses.get(uid);
    if (known !== undefined) return known;
    const address = nextAddress();
    this.#addresses.set(uid, address);
    await this.engines?.add(uid, address, pod);
    return address;
  }

  async #patchStatus(pod: KubeObject, path: string, status: object): Promise<void> {
    // Written only when it says something new, as a kubelet does.
    if (contains(pod["status"], status)) return;
    const { uid } = pod.metadata;
    await this.#write("PATCH", `${path}/status`, { metadata: { uid }, status }, "application/merge-patch+json");
  }

  /** What is gone or was changed meanwhile is seen again by the watch. */
  async #write(method: string, path: string, body: object, contentType?: string): Promise<void> {
    const { status, body: answer } = await this.#api.request(method, path, body, contentType);
    const isNamespaceGoing = status === 403 && JSON.stringify(answer).includes("NamespaceTerminating");
    if (status > 299 && status !== 404 && status !== 409 && !isNamespaceGoing)
      throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  }
}

const HEARTBEAT_MS = 10_000;

/** What a kubelet says every ten seconds. */
const heartbeat = (api: Api): Promise<KubeObject> =>
  api.apply({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: NODE_NAME, namespace: "kube-node-lease" },
    spec: { holderIdentity: NODE_NAME, leaseDurationSeconds: 40, renewTime: microTime(new Date()) },
  });

const microTime = (date: Date): string => date.toISOString().replace("Z", "000Z");

/** Times mean nothing here; one that stands still makes the same report the same bytes. */
const SOME_TIME = "2026-01-01T00:00:00Z";

/** How a container of a crashing pod ended: with the end of its log, as the pods' template asks for. */
export const LAST_WORDS = "the simulated database has had enough";
const CRASH = {
  exitCode: 1,
  reason: "Error",
  message: `...ort":8080}\n${JSON.stringify({ level: "error", time: SOME_TIME, msg: LAST_WORDS })}\n`,
  startedAt: SOME_TIME,
  finishedAt: SOME_TIME,
};

function stateOf(plan: Plan, image: string): object {
  if (plan === "crash-looping")
    return { waiting: { reason: "CrashLoopBackOff", message: "back-off 1m20s restarting failed container" } };
  if (plan === "image-missing")
    return { waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"` } };
  return { running: { startedAt: SOME_TIME } };
}

let addresses = (process.pid * 65_521) % 2 ** 22;

/** One of 127.64.0.0/10, from a place of this process's own, so that test files do not meet. */
function nextAddress(): string {
  addresses = (addresses + 1) % 2 ** 22;
  return `127.${64 + (addresses >> 16)}.${(addresses >> 8) & 255}.${addresses & 255}`;
}

/** Whether all that `wanted` says is so in `live`. */
function contains(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(live) && live.length === wanted.length && wanted.every((one, i) => contains(live[i], one));
  if (typeof wanted !== "object" || wanted === null) return live === wanted;
  return Object.entries(wanted).every(([key, value]) => contains(field(live, key), value));
}
