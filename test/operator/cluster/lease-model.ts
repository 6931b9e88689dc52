/**
 * Processes that want to lead, and the one lease that they share, in memory: kept as the API server keeps it, with versions
 * and conflicts. Each process has a clock of its own, and can be frozen as a whole.
 */
import { setImmediate as turn } from "node:timers/promises";
import { silentLogger } from "../../../src/base/logger.ts";
import { ClusterError } from "../../../src/operator/cluster/errors.ts";
import { LeaseHolder } from "../../../src/operator/cluster/lease.ts";
import type { LeaseState } from "../../../src/operator/cluster/lease.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import { ManualClock } from "../../support/clock.ts";

export const LEASE_KEY = { namespace: "tsdb-system", name: "tsdb-operator" };

const refusal = (status: number, reason: string): ClusterError =>
  new ClusterError("use the lease", { status, reason, detail: reason });

export class LeaseServer {
  object: KubeObject | undefined;
  requests = 0;
  writes = 0;
  #version = 100;
  /** What happens to a call before it is done, and after. */
  before: (() => Promise<void>) | undefined;
  after: (() => Promise<void>) | undefined;

  async get(): Promise<KubeObject | undefined> {
    return this.#serve(() => this.object);
  }

  async create(object: KubeObject): Promise<KubeObject> {
    return this.#serve(() => {
      if (this.object !== undefined) throw refusal(409, "AlreadyExists");
      return this.write(object);
    });
  }

  async update(object: KubeObject): Promise<KubeObject> {
    return this.#serve(() => {
      if (this.object === undefined) throw refusal(404, "NotFound");
      if (object.metadata.resourceVersion !== this.object.metadata.resourceVersion) throw refusal(409, "Conflict");
      return this.write(object);
    });
  }

  write(object: KubeObject): KubeObject {
    this.writes++;
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    this.object = structuredClone({ ...object, metadata });
    return this.object;
  }

  get holder(): string {
    return (this.object?.["spec"] as { holderIdentity?: string } | undefined)?.holderIdentity ?? "";
  }

  get transitions(): number {
    return (this.object!["spec"] as { leaseTransitions: number }).leaseTransitions;
  }

  async #serve<T>(act: () => T): Promise<T> {
    this.requests++;
    await this.before?.();
    const answer = structuredClone(act());
    await this.after?.();
    return answer;
  }
}

export class Candidate {
  readonly clock: ManualClock;
  readonly lease: LeaseHolder;
  readonly states: LeaseState[] = [];
  isFrozen = false;

  constructor(server: LeaseServer, identity: string, nowMs?: number) {
    this.clock = new ManualClock(nowMs);
    this.lease = new LeaseHolder({
      client: server,
      key: LEASE_KEY,
      identity,
      clock: this.clock,
      random: () => 0.5,
      log: silentLogger,
      onChange: (state) => this.states.push(state),
    });
  }
}

/** Lets time pass for all, in steps, and what they do at each; those that are frozen find out later, all at once. */
export async function pass(candidates: readonly Candidate[], durationMs: number, stepMs = 200): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += stepMs) {
    for (const { clock, isFrozen } of candidates) if (!isFrozen) clock.advance(stepMs);
    await settled();
  }
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await turn();
}

export const connectionLost = async (): Promise<void> => {
  throw new ClusterError("use the lease", { status: 0, reason: "ConnectionFailed", detail: "reset" });
};
