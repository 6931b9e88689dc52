/**
 * Leadership, by a Lease: of several processes at most one writes.
 *
 *   standby ──lease free, or not renewed for its duration──▶ leading ◀──renewed, still ours──┐
 *      ▲                                                        │                            │
 *      └── start                                                └──not renewed for 10 s──▶ suspended
 *                                                               another has it ──▶ lost (from both), for good
 *
 * How long a lease has not been renewed is measured by this process' own monotonic clock from when it saw the last renewal:
 * the other side's clock may be minutes off. A leader that could not renew for the renew deadline stops writing while others
 * still wait out the lease's duration. It needs not die: as long as the lease is as it left it, nobody else has led, and it
 * goes on when the API server is back. Once another holds the lease there is no way back but a new process.
 *
 * One gap is left, as everywhere: a process that has just started and finds no lease makes it at once, or the first start
 * would take 15 s. If somebody deleted the lease by hand within the last 2 s, its holder learns of it by its next renewal.
 */
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { messageOf } from "../../base/errors.ts";
import type { CallOptions, ClusterClient } from "./client.ts";
import { pause } from "./deadline.ts";
import { ClusterError } from "./errors.ts";
import { RESOURCES, apiVersionOf, keyText, microTime } from "./objects.ts";
import type { KubeObject, ObjectKey } from "./objects.ts";

export type LeaseState = "standby" | "leading" | "suspended" | "lost" | "released";

export interface LeaseOptions {
  readonly client: Pick<ClusterClient, "get" | "create" | "update">;
  readonly key: ObjectKey;
  /** Of this process, and of no other, ever: a restarted one is another. */
  readonly identity: string;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** Called after each change, from "standby" on. */
  readonly onChange: (state: LeaseState) => void;
  readonly times?: Partial<LeaseTimes>;
}

export interface LeaseTimes {
  /** After which others take a lease that is not renewed. */
  readonly leaseMs: number;
  /** After which its holder stops writing. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

export const LEASE_TIMES: LeaseTimes = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

/** The lease as it was last seen. */
interface Seen {
  readonly object: KubeObject;
  readonly spec: LeaseSpec;
  /** It is gone since; its holder may have renewed it just before, and not know. */
  readonly isDeleted: boolean;
  /** When this version of it was first seen, or that it is gone. */
  readonly atMs: number;
}

export class LeaseHolder {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #state: LeaseState = "standby";
  #seen: Seen | undefined;
  /** When the last renewal that succeeded was sent, by both clocks. */
  #renewedMs = 0;
  #renewedWallMs = 0;
  #problem: string | undefined;

  constructor(options: LeaseOptions) {
    const { leaseMs, renewDeadlineMs, retryMs } = (this.#times = { ...LEASE_TIMES, ...options.times });
    assert(retryMs < renewDeadlineMs && renewDeadlineMs < leaseMs, "retry < renew deadline < lease");
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** What keeps it from reading or renewing the lease, while something does. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Who holds the lease, as far as is known. */
  get holder(): string | undefined {
    const holder = this.#seen?.spec.holderIdentity;
    return holder === "" ? undefined : holder;
  }

  /**
   * Whether this process may write, at this very moment. No timer decides it: a process that was stopped and goes on asks here
   * before its timers have run.
   */
  holds(): boolean {
    if (this.#state !== "leading") return false;
    const { clock } = this.#options;
    const { renewDeadlineMs } = this.#times;
    // The monotonic clock stands still while the machine is suspended; the wall clock has moved on when it wakes. Where only
    // the wall clock was set, the next renewal, in 2 s at most, sets it right.
    return (
      clock.monotonicMs() - this.#renewedMs < renewDeadlineMs && clock.nowMs() - this.#renewedWallMs < renewDeadlineMs
    );
  }

  /** Ends the wish to lead, and gives the lease up; only when nothing is written any more. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const wasHeld = this.#state === "leading" || this.#state === "suspended";
    if (this.#state === "lost") return;
    this.#become("released");
    if (!wasHeld) return;
    try {
      // The renewal that was cut short just now may have been done.
      await this.#look();
      if (this.#seen?.isDeleted !== false || this.holder !== this.#options.identity) return;
      // An empty holder is nobody: another may take it at once.
      await this.#write({ ...this.#seen.spec, holderIdentity: "", leaseDurationSeconds: 1 });
    } catch (error) {
      this.#options.log.info({ error }, "could not release the lease; it runs out by itself");
    }
  }

  async #run(): Promise<void> {
    const { clock, random, log, key } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      try {
        await this.#step(signal);
        this.#problem = undefined;
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
      }
      if (this.#state === "lost") return;
      if (this.#state === "leading" && !this.holds()) {
        log.warn({ lease: keyText(key), problem: this.#problem }, "the lease was not renewed in time: writing nothing");
        this.#become("suspended");
      }
      // A leader renews at a steady pace; those who wait spread, so as not to jump at a free lease together.
      const paceMs = this.#state === "standby" ? this.#times.retryMs * (1 + random() / 5) : this.#times.retryMs;
      await pause(clock, Math.max(0, paceMs - (clock.monotonicMs() - startMs)), signal);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { identity, log } = this.#options;
    // A leader goes by what it wrote last: if that is not the current version, the server says so.
    if (this.#state === "standby" || this.#seen === undefined) await this.#look(signal);
    const seen = this.#seen;
    const holder = this.holder;
    // A lease that was ours, ran out and is gone may have been another's in between.
    const isOurs = holder === identity && (seen?.isDeleted === false || this.holds());
    if (seen !== undefined && holder !== undefined && !isOurs) {
      if (!this.#isExpired(seen)) return;
      log.info({ holder }, "the lease was not renewed: taking it over");
    }
    try {
      await this.#take(seen, signal);
    } catch (error) {
      if (!(error instanceof ClusterError && (error.isConflict || error.isAlreadyExists || error.isNotFound)))
        throw error;
      // Somebody wrote it meanwhile, or it was us and the answer got lost. If it is still ours, the next step renews it.
      await this.#look(signal);
      if (this.#state !== "standby" && this.#wasTaken(seen)) this.#lose();
    }
  }

  /** Takes the lease, or renews it. */
  async #take(seen: Seen | undefined, signal: AbortSignal): Promise<void> {
    const { identity, clock } = this.#options;
    const [sentMs, sentWallMs] = [clock.monotonicMs(), clock.nowMs()];
    const now = microTime(sentWallMs);
    const isOurs = seen?.spec.holderIdentity === identity;
    await this.#write(
      {
        ...seen?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#times.leaseMs / 1000),
        acquireTime: (isOurs ? seen.spec.acquireTime : undefined) ?? now,
        renewTime: now,
        leaseTransitions: (seen?.spec.leaseTransitions ?? 0) + (seen === undefined || isOurs ? 0 : 1),
      },
      signal,
    );
    // From when it was sent: the server may have taken its time.
    this.#renewedMs = sentMs;
    this.#renewedWallMs = sentWallMs;
    if (this.#state !== "leading") this.#become("leading");
  }

  /** Whether another leads, or has led, since ours was written. */
  #wasTaken(ours: Seen | undefined): boolean {
    const holder = this.holder;
    if (holder !== undefined && holder !== this.#options.identity) return true;
    return this.#seen !== undefined && (this.#seen.spec.leaseTransitions ?? 0) !== (ours?.spec.leaseTransitions ?? 0);
  }

  #isExpired({ spec, atMs }: Seen): boolean {
    // The holder's own duration counts: another version may have another.
    const durationMs = spec.leaseDurationSeconds === undefined ? this.#times.leaseMs : spec.leaseDurationSeconds * 1000;
    return this.#options.clock.monotonicMs() - atMs >= durationMs;
  }

  async #look(signal?: AbortSignal): Promise<void> {
    const { client, key } = this.#options;
    this.#note(await client.get(RESOURCES.lease, key, this.#call(signal)));
  }

  async #write(spec: LeaseSpec, signal?: AbortSignal): Promise<void> {
    const { client, key } = this.#options;
    const type = RESOURCES.lease;
    const seen = this.#seen?.isDeleted === false ? this.#seen.object : undefined;
    if (seen === undefined) {
      const first = { apiVersion: apiVersionOf(type), kind: type.kind, metadata: key, spec };
      this.#note(await client.create(first, this.#call(signal)));
    } else this.#note(await client.update({ ...seen, spec }, this.#call(signal)));
  }

  #note(object: KubeObject | undefined): void {
    const seen = this.#seen;
    const atMs = this.#options.clock.monotonicMs();
    if (object === undefined) {
      if (seen?.isDeleted === false) this.#seen = { ...seen, isDeleted: true, atMs };
    } else if (seen?.isDeleted !== false || object.metadata.resourceVersion !== seen.object.metadata.resourceVersion)
      this.#seen = { object, spec: specOf(object), isDeleted: false, atMs };
  }

  /** One call must not eat up the time in which another could still succeed. */
  #call(signal: AbortSignal | undefined): CallOptions {
    return { signal, timeoutMs: this.#times.renewDeadlineMs / 2 };
  }

  #failed(error: unknown): void {
    const { log, key } = this.#options;
    const wasKnown = this.#problem !== undefined;
    this.#problem = messageOf(error);
    const fields = { lease: keyText(key), error };
    if (error instanceof ClusterError && error.isForbidden)
      log.error(fields, `the operator's role in ${key.namespace} must grant get, create and update on leases`);
    else if (wasKnown) log.debug(fields, "the lease is still out of reach");
    else log.warn(fields, "cannot read or renew the lease");
  }

  #lose(): void {
    this.#options.log.error({ lease: keyText(this.#options.key), holder: this.holder }, "another leads now");
    this.#become("lost");
  }

  #become(state: LeaseState): void {
    if (this.#state === state) return;
    this.#options.log.info({ lease: keyText(this.#options.key), was: this.#state }, `lease: ${state}`);
    this.#state = state;
    this.#options.onChange(state);
  }
}

/** What is not as a lease has it is as if it were absent: leases are edited by people, too. */
function specOf({ spec }: KubeObject): LeaseSpec {
  return typeof spec === "object" && spec !== null ? spec : {};
}
