/**
 * Whether a watch has brought everything: a list beside the running watch, compared with what the watch has led to. A list is
 * a moment, and the watch may be a little behind or ahead of it; only what still differs when the watch has passed that moment
 * was missed.
 */
import { compareResourceVersions, keyOf, keyText } from "./objects.ts";
import type { KubeObject } from "./objects.ts";
import type { Store } from "./store.ts";

/** What was listed, without the objects themselves. */
export interface Moment {
  readonly resourceVersion: string;
  readonly versions: ReadonlyMap<string, string | undefined>;
  readonly namespace: string | undefined;
}

/** All that an audit keeps of an object. */
export const versionOf = (object: KubeObject): readonly [key: string, resourceVersion: string | undefined] => [
  keyText(keyOf(object)),
  object.metadata.resourceVersion,
];

/**
 * Keys that the store has in an older version than the list, not at all, or still.
 * @param removed keys whose deletion was seen since before the list
 */
export function missing(store: Store, moment: Moment, removed: ReadonlySet<string>): string[] {
  const keys: string[] = [];
  const isBehind = (known: string | undefined, listed: string | undefined): boolean => {
    const order = compareResourceVersions(known, listed);
    return order === undefined ? known !== listed : order < 0;
  };
  const known = new Map<string, string | undefined>();
  for (const { object } of store.all())
    if (moment.namespace === undefined || object.metadata.namespace === moment.namespace)
      known.set(keyText(keyOf(object)), object.metadata.resourceVersion);
  for (const [key, version] of moment.versions)
    if (known.has(key) ? isBehind(known.get(key), version) : !removed.has(key)) keys.push(key);
  for (const [key, version] of known)
    // Younger than the list: it could not be in it.
    if (!moment.versions.has(key) && !((compareResourceVersions(version, moment.resourceVersion) ?? 0) > 0))
      keys.push(key);
  return keys;
}
