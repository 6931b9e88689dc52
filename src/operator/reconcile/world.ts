/** What the operator sees of a cluster, by database: which resources are watched, and what of them is whose. */
import type { CachedResource, ClusterCache } from "../cluster/cache.ts";
import {
  keyOf,
  keyText,
  RESOURCES,
  typeOf,
  type KubeObject,
  type ObjectKey,
  type ResourceType,
} from "../cluster/objects.ts";
import type { Cached } from "../cluster/store.ts";
import type { ObjectReference } from "../desired/desired.ts";
import { DATABASE_LABEL } from "../desired/metadata.ts";
import type { LiveDatabase, LivePod } from "./live.ts";

/** What is made for a database, or by what is made for it. */
const CHILD_TYPES: readonly ResourceType[] = [
  RESOURCES.persistentVolumeClaim,
  RESOURCES.configMap,
  RESOURCES.serviceAccount,
  RESOURCES.service,
  RESOURCES.networkPolicy,
  RESOURCES.podDisruptionBudget,
  RESOURCES.statefulSet,
  RESOURCES.pod,
];

/** All that is watched. */
export const WATCHED: readonly CachedResource[] = [
  { type: RESOURCES.timeSeriesDB, ownerOf: (object) => keyText(keyOf(object)) },
  ...CHILD_TYPES.map((type) => ({ type, labelSelector: DATABASE_LABEL, ownerOf: databaseOf })),
  // Of the Prometheus operator, which may come and go.
  { type: RESOURCES.serviceMonitor, labelSelector: DATABASE_LABEL, ownerOf: databaseOf, isOptional: true },
];

export class World {
  readonly #cache: Pick<ClusterCache, "store" | "isServed">;

  constructor(cache: Pick<ClusterCache, "store" | "isServed">) {
    this.#cache = cache;
  }

  get hasServiceMonitors(): boolean {
    return this.#cache.isServed(RESOURCES.serviceMonitor);
  }

  /** The keys of all databases. */
  keys(): string[] {
    return Array.from(this.#cache.store(RESOURCES.timeSeriesDB).all(), ({ object }) => keyText(keyOf(object)));
  }

  database(key: ObjectKey): LiveDatabase | undefined {
    return this.#cache.store(RESOURCES.timeSeriesDB).get(key)?.object;
  }

  child(reference: ObjectReference): Cached | undefined {
    return this.#cache.store(typeOf(reference)).get(reference);
  }

  /** The pods of a database, whoever made them. */
  pods(key: string): LivePod[] {
    return Array.from(this.#cache.store(RESOURCES.pod).ownedBy(key), ({ object }) => object);
  }

  /** Every pod that belongs to a database. */
  *allPods(): Iterable<{ readonly pod: LivePod; readonly owner: string }> {
    for (const { object } of this.#cache.store(RESOURCES.pod).all()) {
      const owner = databaseOf(object);
      if (owner !== undefined) yield { pod: object, owner };
    }
  }

  /** An object as the API server has just answered it: the watch will say the same a little later. */
  put(object: KubeObject): void {
    this.#cache.store(typeOf(object)).put(object);
  }
}

/** The key of the database that an object says it is of. */
function databaseOf({ metadata }: KubeObject): string | undefined {
  const name = metadata.labels?.[DATABASE_LABEL];
  return name === undefined ? undefined : keyText({ namespace: metadata.namespace ?? "", name });
}
