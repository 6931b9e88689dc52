/**
 * The user's `spec.podTemplate` merged over the pods' template: objects field by field, containers, volumes and variables by
 * name, mounts by path, other lists as a whole; null takes away what would be there. What may not be changed is in
 * overlay-rules.ts.
 */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A list whose items are told apart by one field, and the lists of that kind in its items. */
export interface KeyedList {
  readonly key: string;
  readonly items: KeyedLists;
}
export type KeyedLists = ReadonlyMap<string, KeyedList>;

const container: KeyedLists = new Map([
  ["env", { key: "name", items: new Map() }],
  ["volumeMounts", { key: "mountPath", items: new Map() }],
]);

/** Of a pod's spec. */
export const podLists: KeyedLists = new Map([
  ["containers", { key: "name", items: container }],
  ["initContainers", { key: "name", items: container }],
  ["volumes", { key: "name", items: new Map() }],
]);

const none: KeyedLists = new Map();

/** @param overlay must have passed the rules: items of keyed lists have their key, and no key comes twice */
export const mergedTemplate = (template: JsonObject, { metadata, spec }: JsonObject): JsonObject => ({
  ...template,
  metadata: merged(template["metadata"] as JsonObject, (metadata ?? {}) as JsonObject, none),
  spec: merged(template["spec"] as JsonObject, (spec ?? {}) as JsonObject, podLists),
});

function merged(base: JsonObject, over: JsonObject, lists: KeyedLists): JsonObject {
  const result = new Map<string, Json>(Object.entries(base));
  for (const [name, value] of Object.entries(over)) {
    const list = lists.get(name);
    const before = result.get(name);
    if (value === null) result.delete(name);
    else if (list)
      result.set(name, mergedList((before ?? []) as readonly JsonObject[], value as readonly JsonObject[], list));
    else if (isObject(value)) result.set(name, merged(isObject(before) ? before : {}, value, none));
    else result.set(name, value);
  }
  return Object.fromEntries(result);
}

function mergedList(base: readonly JsonObject[], over: readonly JsonObject[], { key, items }: KeyedList) {
  const rest = new Map(over.map((item) => [item[key], item]));
  const result = base.map((item) => {
    const change = rest.get(item[key]);
    rest.delete(item[key]);
    return change === undefined ? item : merged(item, change, items);
  });
  return [...result, ...[...rest.values()].map((item) => merged({}, item, items))];
}
