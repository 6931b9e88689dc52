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
  return trees.reduce(merged, NOTHING);
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
