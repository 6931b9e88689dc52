/**
 * The objects of one type as they were last seen, and whose they are. Filled by reflectors; what the operator itself has just
 * applied is put here, too, so that its next run does not decide on what it knows to be old.
 *
 * Nothing here goes back in time: of two versions of an object the newer one stays, whichever way it came.
 */
import { compareResourceVersions, keyOf, keyText } from "./objects.ts";
import type { KubeObject, ObjectKey, OwnedFields, ResourceType } from "./objects.ts";
import { ownedFields, withoutManagedFields } from "./owned-fields.ts";

export interface Cached {
  /** Without its managedFields. */
  readonly object: KubeObject;
  /** What of it is ours. */
  readonly owned: OwnedFields;
}

export interface StoreOptions {
  readonly type: ResourceType;
  /** Key of the database that an object belongs to, as `keyText` writes it; undefined when it is nobody's. */
  readonly ownerOf: (object: KubeObject) => string | undefined;
  /** Something of an owner's came, changed or went. Must only note it down. */
  readonly onChange: (owner: string) => void;
}

/** An object as it is kept. */
export const cachedOf = (object: KubeObject): Cached => ({
  object: withoutManagedFields(object),
  owned: ownedFields(object),
});

/** What a list says about the objects of one namespace, or of all. */
export interface Listing {
  readonly items: readonly Cached[];
  readonly resourceVersion: string;
  readonly namespace?: string | undefined;
  /** The server has lost what it had, as after a restore from a backup: what is newer here does not exist any more. */
  readonly isReset: boolean;
}

const NO_OBJECTS: ReadonlyMap<string, Cached> = new Map();

export class Store {
  readonly type: ResourceType;
  readonly #options: StoreOptions;
  readonly #objects = new Map<string, Cached>();
  readonly #byOwner = new Map<string, Map<string, Cached>>();

  constructor(options: StoreOptions) {
    this.type = options.type;
    this.#options = options;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): Cached | undefined {
    return this.#objects.get(keyText(key));
  }

  /** Everything of one database's. */
  ownedBy(owner: string): Iterable<Cached> {
    return (this.#byOwner.get(owner) ?? NO_OBJECTS).values();
  }

  all(): Iterable<Cached> {
    return this.#objects.values();
  }

  /** An object that was seen, or that is the answer to a write. */
  put(object: KubeObject): void {
    const text = keyText(keyOf(object));
    const known = this.#objects.get(text);
    if (known !== undefined && !isNewer(object, known.object)) return;
    this.#set(text, known, cachedOf(object));
  }

  /** An object that is gone, as it was in the end. */
  remove(object: KubeObject): void {
    const text = keyText(keyOf(object));
    const known = this.#objects.get(text);
    // Its successor of the same name may be known already.
    if (known !== undefined && !isNewer(known.object, object)) this.#delete(text, known);
  }

  /** Everything of a namespace, or of all, at one moment: what is not in it is gone, unless it is younger. */
  replace({ items, resourceVersion, namespace, isReset }: Listing): void {
    const listed = new Set<string>();
    for (const item of items) {
      const { object } = item;
      const text = keyText(keyOf(object));
      listed.add(text);
      const known = this.#objects.get(text);
      const isSame = known?.object.metadata.resourceVersion === object.metadata.resourceVersion;
      if (known !== undefined && !isReset && (isSame || !isNewer(object, known.object))) continue;
      this.#set(text, known, item);
    }
    for (const [text, known] of this.#objects) {
      if (listed.has(text) || (namespace !== undefined && known.object.metadata.namespace !== namespace)) continue;
      const order = compareResourceVersions(known.object.metadata.resourceVersion, resourceVersion);
      if (isReset || order === undefined || order <= 0) this.#delete(text, known);
    }
  }

  #set(text: string, before: Cached | undefined, cached: Cached): void {
    const { ownerOf, onChange } = this.#options;
    const ownerBefore = before === undefined ? undefined : ownerOf(before.object);
    const owner = ownerOf(cached.object);
    if (ownerBefore !== undefined && ownerBefore !== owner) this.#disown(ownerBefore, text);
    this.#objects.set(text, cached);
    if (owner === undefined) return;
    let owned = this.#byOwner.get(owner);
    if (owned === undefined) this.#byOwner.set(owner, (owned = new Map<string, Cached>()));
    owned.set(text, cached);
    onChange(owner);
  }

  #delete(text: string, known: Cached): void {
    this.#objects.delete(text);
    const owner = this.#options.ownerOf(known.object);
    if (owner !== undefined) this.#disown(owner, text);
  }

  #disown(owner: string, text: string): void {
    const owned = this.#byOwner.get(owner);
    owned?.delete(text);
    if (owned?.size === 0) this.#byOwner.delete(owner);
    this.#options.onChange(owner);
  }
}

/** Whether `a` is a later version than `b`; of what cannot be ordered the one that came last counts. */
function isNewer(a: KubeObject, b: KubeObject): boolean {
  const order = compareResourceVersions(a.metadata.resourceVersion, b.metadata.resourceVersion);
  return order === undefined ? a.metadata.resourceVersion !== b.metadata.resourceVersion : order > 0;
}
