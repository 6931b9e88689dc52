/**
 * Keeps a store the same as the cluster, for as long as the process runs, whatever the API server does.
 *
 *   list ──▶ watch ──▶ server's timeout ─▶ watch again from where it was
 *     ▲        ├──▶ 410, the server lost its past, an event that makes no sense ─▶ list
 *     └────────┴──▶ anything else ─▶ the same again after 0.5 to 30 s
 *
 * It never gives up, is never two at once, and notices what is not an error either: a watch that has gone silent (the server
 * ends each by itself, and bookmarks come every minute once they come), and, every ten minutes, a list that says something
 * else than the watch has led to.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { messageOf } from "../../base/errors.ts";
import { missing, versionOf } from "./audit.ts";
import type { Moment } from "./audit.ts";
import type { ClusterClient, ListPage } from "./client.ts";
import { pause } from "./deadline.ts";
import { ClusterError } from "./errors.ts";
import { compareResourceVersions, keyOf, keyText } from "./objects.ts";
import type { KubeObject } from "./objects.ts";
import { cachedOf } from "./store.ts";
import type { Store } from "./store.ts";
import type { WatchEvent } from "./watch-stream.ts";

export interface ReflectorOptions {
  readonly client: Pick<ClusterClient, "list" | "watch">;
  readonly store: Store;
  /** All namespaces when absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** The resource is somebody else's and may not be there; it is looked for every `unservedMs`. */
  readonly isOptional?: boolean;
  /** The resource appeared, or went. */
  readonly onServed?: (isServed: boolean) => void;
  readonly onWatchEnd?: (reason: WatchEnd) => void;
  readonly onList?: (reason: ListReason) => void;
  /** Objects whose change or deletion no watch had told of. */
  readonly onMissed?: (count: number) => void;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  readonly times?: Partial<ReflectorTimes>;
}

export interface ReflectorTimes {
  /** A watch lasts between these, by chance, so that not all end at once. */
  readonly watchSecondsMin: number;
  readonly watchSecondsMax: number;
  /** How long after its end by the server's own clock a watch is given up. */
  readonly graceMs: number;
  /** Silence of a watch that has had a bookmark. */
  readonly silenceMs: number;
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  readonly auditMs: number;
  /** How long the watch may take to come to where an audit's list is. */
  readonly auditWaitMs: number;
  readonly unservedMs: number;
}

export const REFLECTOR_TIMES: ReflectorTimes = {
  watchSecondsMin: 300,
  watchSecondsMax: 600,
  graceMs: 30_000,
  silenceMs: 180_000,
  retryMsMin: 500,
  // After an outage everything is seen again within this time, which is what a user waits for.
  retryMsMax: 10_000,
  auditMs: 600_000,
  auditWaitMs: 30_000,
  unservedMs: 45_000,
};

export type WatchEnd = "timeout" | "silent" | "gone" | "garbage" | "failed" | "audit";
export type ListReason = "start" | "gone" | "garbage" | "refused" | "missed" | "audit";

/** Objects a page: a page is parsed in one go, and must neither hold up the lease nor fill the memory. */
const PAGE_OBJECTS = 250;
/** What has lived so long has worked: the next failure is a first one. */
const WORKED_MS = 10_000;
/** Failures in a row after which a server that answers is no longer asked for the same again. */
const FAILURES_BEFORE_LIST = 3;
const AUDIT_STEP_MS = 1_000;

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #times: ReflectorTimes;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #auditing: Promise<void> | undefined;
  #auditTimer: Timer | undefined;
  /** Where the watch is; undefined when a list is needed. */
  #version: string | undefined;
  /** The last version that was heard of, lists included. */
  #seen: string | undefined;
  #listReason: ListReason = "start";
  /** The server was away: it may be another one, or have lost its past. */
  #isDoubtful = false;
  #failures = 0;
  #isSynced = false;
  #isServed = true;
  #problem: string | undefined;
  #heardMs: number;
  /** Ends the watch that runs, so that the next step begins. */
  #endWatch: ((reason: WatchEnd) => void) | undefined;
  /** Keys that were seen to go while an audit runs. */
  #removed: Set<string> | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#times = { ...REFLECTOR_TIMES, ...options.times };
    this.#heardMs = options.clock.monotonicMs();
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#running = this.#run();
    this.#auditLater();
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#auditTimer?.cancel();
    await Promise.all([this.#running, this.#auditing]);
  }

  /** Whether the store has been filled; it stays so, through whatever comes. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  get isServed(): boolean {
    return this.#isServed;
  }

  /** What keeps it from listing or watching, while something does. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Since the server last said anything of this resource. */
  get silenceMs(): number {
    return this.#options.clock.monotonicMs() - this.#heardMs;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startMs = clock.monotonicMs();
      const hasWorked = (): boolean => clock.monotonicMs() - startMs >= WORKED_MS;
      let waitMs = 0;
      try {
        if (this.#isDoubtful) await this.#askForVersion();
        if (this.#version === undefined) await this.#list();
        await this.#watch(this.#version!);
        // Something in between that ends what lives long at once must not have us spin.
        if (hasWorked()) this.#failures = 0;
        else waitMs = this.#retryMs();
      } catch (error) {
        if (signal.aborted) return;
        if (hasWorked()) this.#failures = 0;
        waitMs = this.#failed(error);
      }
      if (waitMs > 0) await pause(clock, waitMs, signal);
    }
  }

  /** @returns when to go on, ms */
  #failed(error: unknown): number {
    const { log, isOptional = false, random } = this.#options;
    const { plural } = this.#options.store.type;
    const known = error instanceof ClusterError ? error : undefined;
    if (known?.isNotServed === true && isOptional) {
      this.#unserved();
      return this.#times.unservedMs * (0.9 + random() / 10);
    }
    this.#problem = messageOf(error);
    this.#isDoubtful = true;
    this.#listAfter(known);
    const waitMs = Math.max(this.#retryMs(), known?.retryAfterMs ?? 0);
    const fields = { resource: plural, error, retry_in_ms: Math.round(waitMs) };
    if (known?.isForbidden === true) log.error(fields, `the operator's role must grant list and watch on ${plural}`);
    else if (known?.isNotServed === true) log.error(fields, `install the CustomResourceDefinition of ${plural}`);
    // A first failure heals itself as a rule and is news to nobody: versions expire, servers restart. And an outage of hours
    // is told now and then, by every resource.
    else if (this.#failures === 1 && known !== undefined) log.debug(fields, "lost sight of a resource, trying again");
    else if (isPowerOfTwo(this.#failures)) log.warn(fields, "still no sight of a resource, trying again");
    else log.debug(fields, "still no sight of a resource, trying again");
    return waitMs;
  }

  /** Whether the next attempt lists, or goes on from where the watch was. */
  #listAfter(error: ClusterError | undefined): void {
    if (error === undefined) return this.#relist("garbage");
    const { status, reason } = error;
    if (error.isGone) this.#relist("gone");
    else if (reason === "BadAnswer") this.#relist("garbage");
    // Not for lack of rights, which come and go without a loss.
    else if (status >= 400 && status < 500 && ![401, 403, 429].includes(status)) this.#relist("refused");
    else if (status >= 500 && this.#failures >= FAILURES_BEFORE_LIST) this.#relist("refused");
  }

  #retryMs(): number {
    const { retryMsMin, retryMsMax } = this.#times;
    const fullMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures++, 16));
    return fullMs * (0.5 + this.#options.random() / 2);
  }

  #relist(reason: ListReason): void {
    if (this.#version !== undefined) this.#listReason = reason;
    this.#version = undefined;
  }

  #unserved(): void {
    const { store, namespace } = this.#options;
    this.#version = undefined;
    this.#problem = undefined;
    this.#failures = 0;
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#isSynced = true;
    store.replace({ items: [], resourceVersion: "", namespace, isReset: true });
    this.#setServed(false);
  }

  #setServed(isServed: boolean): void {
    if (this.#isServed === isServed) return;
    this.#isServed = isServed;
    this.#options.onServed?.(isServed);
  }

  #heard(version: string): void {
    this.#version = this.#seen = version;
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#problem = undefined;
  }

  /**
   * A watch from a version that is yet to come is told nothing, for hours perhaps, and no error: so it goes after etcd was
   * restored from a backup. A list of one object shows it.
   */
  async #askForVersion(): Promise<void> {
    const { client, store, namespace, labelSelector } = this.#options;
    if (this.#version !== undefined) {
      const options = { namespace, labelSelector, limit: 1, signal: this.#stop.signal };
      const { resourceVersion } = await client.list(store.type, options);
      if (isOlder(resourceVersion, this.#seen)) this.#relist("gone");
    }
    this.#isDoubtful = false;
  }

  async #list(): Promise<void> {
    const { store, namespace, onList } = this.#options;
    onList?.(this.#listReason);
    const { items, resourceVersion } = await this.#pages(cachedOf);
    // No list is older than what was seen before it, unless the server has lost its past.
    const isReset = isOlder(resourceVersion, this.#seen);
    store.replace({ items, resourceVersion, namespace, isReset });
    this.#isSynced = true;
    this.#setServed(true);
    this.#heard(resourceVersion);
  }

  /** What is to be kept of all objects of one moment. The rest of a page is dropped before the next one comes. */
  async #pages<T>(kept: (object: KubeObject) => T): Promise<{ items: T[]; resourceVersion: string }> {
    const { client, store, namespace, labelSelector } = this.#options;
    const options = { namespace, labelSelector, signal: this.#stop.signal };
    const items: T[] = [];
    let page: ListPage | undefined;
    try {
      do {
        page = await client.list(store.type, { ...options, limit: PAGE_OBJECTS, continueToken: page?.continueToken });
        for (const object of page.items) items.push(kept(object));
      } while (page.continueToken !== undefined);
      return { items, resourceVersion: page.resourceVersion };
    } catch (error) {
      // The moment is too old to be had any more: a large cluster, or a slow one. Then all in one.
      if (page === undefined || !(error instanceof ClusterError && error.isGone)) throw error;
    }
    const { items: all, resourceVersion } = await client.list(store.type, options);
    return { items: all.map(kept), resourceVersion };
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { client, store, namespace, labelSelector, clock, random, onWatchEnd } = this.#options;
    const { watchSecondsMin, watchSecondsMax, graceMs, silenceMs } = this.#times;
    const timeoutSeconds = Math.round(watchSecondsMin + random() * (watchSecondsMax - watchSecondsMin));
    const startMs = clock.monotonicMs();
    const lastMs = startMs + timeoutSeconds * 1000 + graceMs;
    const ending = new AbortController();
    let reason: WatchEnd | undefined;
    let hadBookmark = false;
    const end = (why: WatchEnd): void => {
      reason ??= why;
      ending.abort();
    };
    const stop = (): void => end("timeout");
    let timer: Timer | undefined;
    const look = (): void => {
      const dueMs = Math.min(lastMs, hadBookmark ? Math.max(startMs, this.#heardMs) + silenceMs : Infinity);
      const leftMs = dueMs - clock.monotonicMs();
      if (leftMs <= 0) end("silent");
      else timer = clock.after(leftMs, look);
    };
    look();
    this.#endWatch = end;
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    try {
      const options = { namespace, labelSelector, resourceVersion, timeoutSeconds };
      for await (const event of client.watch(store.type, options, ending.signal)) {
        this.#take(event);
        if (event.type !== "BOOKMARK" || hadBookmark) continue;
        // From now on silence is short.
        hadBookmark = true;
        timer?.cancel();
        look();
      }
      reason ??= "timeout";
    } catch (error) {
      if (reason !== undefined) return;
      reason = reasonOf(error);
      throw error;
    } finally {
      timer?.cancel();
      this.#endWatch = undefined;
      this.#stop.signal.removeEventListener("abort", stop);
      onWatchEnd?.(reason ?? "failed");
    }
  }

  #take(event: WatchEvent): void {
    const { store } = this.#options;
    if (event.type === "BOOKMARK") return this.#heard(event.resourceVersion);
    const { object } = event;
    if (event.type === "DELETED") {
      store.remove(object);
      this.#removed?.add(keyText(keyOf(object)));
    } else store.put(object);
    this.#heard(object.metadata.resourceVersion!);
  }

  #auditLater(): void {
    const { clock, random } = this.#options;
    this.#auditTimer = clock.after(this.#times.auditMs * (0.9 + random() / 5), () => {
      this.#auditing = this.#audit().finally(() => {
        this.#removed = undefined;
        if (!this.#stop.signal.aborted) this.#auditLater();
      });
    });
  }

  /** Lists beside the watch; what the watch should have told and has not is had by a list that counts. */
  async #audit(): Promise<void> {
    const { store, namespace, clock, log, onList, onMissed } = this.#options;
    const { signal } = this.#stop;
    if (this.#version === undefined) return;
    const seenBefore = this.#seen;
    const removed = (this.#removed = new Set());
    onList?.("audit");
    let moment: Moment;
    try {
      const { items, resourceVersion } = await this.#pages(versionOf);
      moment = { resourceVersion, versions: new Map(items), namespace };
    } catch (error) {
      // The watch has its own view of the server's health, and the next audit comes.
      return log.debug({ resource: store.type.plural, error }, "cannot list for an audit");
    }
    const { resourceVersion } = moment;
    const waitUntilMs = clock.monotonicMs() + this.#times.auditWaitMs;
    const isReset = isOlder(resourceVersion, seenBefore);
    const isPast = (): boolean => isReset || !isOlder(this.#version, resourceVersion);
    let keys = missing(store, moment, removed);
    while (keys.length > 0 && !isPast() && clock.monotonicMs() < waitUntilMs && !signal.aborted) {
      await pause(clock, AUDIT_STEP_MS, signal);
      keys = missing(store, moment, removed);
    }
    // A list has come in between, and with it everything.
    if ((keys.length === 0 && !isReset) || this.#version === undefined || signal.aborted) return;
    if (isPast()) {
      onMissed?.(keys.length);
      log.warn(
        { resource: store.type.plural, count: keys.length, keys: keys.slice(0, 5) },
        "the watch had missed changes",
      );
    }
    this.#relist("missed");
    this.#endWatch?.("audit");
  }
}

function reasonOf(error: unknown): WatchEnd {
  if (!(error instanceof ClusterError)) return "failed";
  return error.isGone ? "gone" : error.reason === "BadAnswer" ? "garbage" : "failed";
}

const isOlder = (a: string | undefined, b: string | undefined): boolean => (compareResourceVersions(a, b) ?? 0) < 0;

const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0;
