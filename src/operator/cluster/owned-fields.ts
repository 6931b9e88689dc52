/**
 * What the operator owns of an object, kept before `managedFields` are dropped: they are the larger half of many objects, and
 * of all they say only this is asked for. A field that is owned and not wanted any more must be applied away.
 */
import type { KubeObject, OwnedFields } from "./objects.ts";

/** The name under which everything is applied. Another name would leave the old one's fields in every object for ever. */
export const FIELD_MANAGER = "tsdb-operator";

const NOTHING: OwnedFields = {};

/** The fields of an object, its status aside, that `manager` owns: all of its entries in one tree. */
export function ownedFields({ metadata }: KubeObject, manager = FIELD_MANAGER): OwnedFields {
  const trees = (metadata.managedFields ?? [])
    .filter((entry) => entry.manager === manager && entry.operation === "Apply" && (entry.subresource ?? "") === "")
    .map(({ fieldsV1 }) => fieldsV1 ?? NOTHING);
  // There is one entry as a rule; an API version that was left behind may have one of its own. What an update under our
  // name set, no apply takes away.
  return shared(trees.reduce(merged, NOTHING));
}

/**
 * Objects of a kind own the same fields as a rule, so each branch is kept once, and not for every object: these trees would be
 * half of what a store holds. Metadata names its owner's uid, and is different each time.
 */
const branches = new Map<string, OwnedFields>();
const BRANCHES_MAX = 1_000;

function shared(tree: OwnedFields): OwnedFields {
  if (branches.size > BRANCHES_MAX) branches.clear();
  const once = (branch: OwnedFields): OwnedFields => {
    const text = JSON.stringify(branch);
    const known = branches.get(text);
    if (known === undefined) branches.set(text, branch);
    return known ?? branch;
  };
  return Object.fromEntries(
    Object.entries(tree).map(([key, branch]) => [key, key === "f:metadata" ? branch : once(branch)]),
  );
}

function merged(a: OwnedFields, b: OwnedFields): OwnedFields {
  if (a === NOTHING) return b;
  const both: Record<string, OwnedFields> = { ...a };
  for (const [key, inner] of Object.entries(b)) {
    const known = Object.hasOwn(both, key) ? both[key] : undefined;
    both[key] = known === undefined ? inner : merged(known, inner);
  }
  return both;
}

/** The same object without its managedFields. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
