/**
 * Everything of the cluster that the operator looks at: a store for each resource, filled by a reflector for each namespace it
 * may look into. Whoever decides reads here and nowhere else, so that a run costs no requests.
 */
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { ClusterClient } from "./client.ts";
import type { ClusterMetrics, WatchedResource } from "./metrics.ts";
import type { KubeObject, ResourceType } from "./objects.ts";
import { Reflector } from "./reflector.ts";
import type { ReflectorTimes } from "./reflector.ts";
import { Store } from "./store.ts";

export interface CachedResource {
  readonly type: ResourceType;
  readonly labelSelector?: string;
  /** Key of the database that an object belongs to, as `keyText` writes it; undefined when it is nobody's. */
  readonly ownerOf: (object: KubeObject) => string | undefined;
  /** Somebody else's resource, which may not be installed. */
  readonly isOptional?: boolean;
}

export interface CacheOptions {
  readonly client: Pick<ClusterClient, "list" | "watch">;
  readonly resources: readonly CachedResource[];
  /** The whole cluster when empty. */
  readonly namespaces: readonly string[];
  /** Something of a database's came, changed or went. Must only note it down. */
  readonly onChange: (owner: string, type: ResourceType) => void;
  /** An optional resource appeared in the cluster, or went. */
  readonly onServed: (type: ResourceType, isServed: boolean) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: ClusterMetrics;
  readonly times?: Partial<ReflectorTimes>;
}

interface Entry {
  readonly store: Store;
  readonly reflectors: readonly Reflector[];
}

export class ClusterCache {
  readonly #entries: ReadonlyMap<ResourceType, Entry>;

  constructor(options: CacheOptions) {
    this.#entries = new Map(options.resources.map((resource) => [resource.type, entryOf(resource, options)]));
    options.metrics.showWatched(() => this.watched());
  }

  start(): void {
    for (const reflector of this.#reflectors()) reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors().map((reflector) => reflector.stop()));
  }

  store(type: ResourceType): Store {
    return this.#entry(type).store;
  }

  /** Whether the cluster has the resource. */
  isServed(type: ResourceType): boolean {
    return this.#entry(type).reflectors.every((reflector) => reflector.isServed);
  }

  /** Whether everything has been listed: before that, what is not there may only not have been seen. */
  get isSynced(): boolean {
    return this.#reflectors().every((reflector) => reflector.isSynced);
  }

  /** What is not yet listed, and why, for people. */
  unsynced(): string[] {
    return Array.from(this.#entries.values()).flatMap(({ store, reflectors }) =>
      reflectors
        .filter((reflector) => !reflector.isSynced)
        .map(({ problem }) => `${store.type.plural}: ${problem ?? "being listed"}`),
    );
  }

  watched(): WatchedResource[] {
    return Array.from(this.#entries.values(), ({ store, reflectors }) => ({
      resource: store.type.plural,
      objects: store.size,
      isSynced: reflectors.every((reflector) => reflector.isSynced),
      silenceMs: Math.max(...reflectors.map((reflector) => reflector.silenceMs)),
    }));
  }

  #reflectors(): Reflector[] {
    return Array.from(this.#entries.values()).flatMap(({ reflectors }) => reflectors);
  }

  #entry(type: ResourceType): Entry {
    const entry = this.#entries.get(type);
    assert(entry !== undefined, `${type.plural} are not cached`);
    return entry;
  }
}

function entryOf({ type, labelSelector, ownerOf, isOptional }: CachedResource, options: CacheOptions): Entry {
  const { client, clock, random, log, metrics, times, onChange, onServed } = options;
  const store = new Store({ type, ownerOf, onChange: (owner) => onChange(owner, type) });
  const namespaces = type.isNamespaced && options.namespaces.length > 0 ? options.namespaces : [undefined];
  const reflectors = namespaces.map(
    (namespace) =>
      new Reflector({
        client,
        store,
        namespace,
        labelSelector,
        clock,
        random,
        log,
        isOptional: isOptional ?? false,
        onServed: (isServed) => onServed(type, isServed),
        onWatchEnd: (reason) => metrics.onWatchEnd(type.plural, reason),
        onList: (reason) => metrics.onList(type.plural, reason),
        onMissed: (count) => metrics.onMissed(type.plural, count),
        ...(times === undefined ? {} : { times }),
      }),
  );
  return { store, reflectors };
}
