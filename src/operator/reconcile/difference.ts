/**
 * Whether an object must be applied: what of it is not as it should be. The API server is never asked to repeat itself, so
 * that a database at rest costs no writes. Pure.
 *
 * A desired field is looked for in the live object, and nothing else is looked at: what the server filled in and what others
 * added is theirs. What was wanted once and no longer is, is known by who owns it.
 */
import { parseQuantity } from "../api/quantity.ts";
import type { KubeObject, OwnedFields } from "../cluster/objects.ts";

/** Paths are as `kubectl explain` writes them, items of lists by their key: `spec.template.spec.containers[tsdb].image`. */
export interface Difference {
  /** The object is not there. */
  readonly isMissing: boolean;
  /** Desired fields whose live value is another, or absent. */
  readonly changed: readonly string[];
  /** Fields that we own and do not want any more. */
  readonly dropped: readonly string[];
}

/**
 * @param owned undefined when it is not known: then lists are compared item by item
 * @returns undefined when there is nothing to do
 */
export function difference(
  desired: KubeObject,
  live: KubeObject | undefined,
  owned: OwnedFields | undefined,
): Difference | undefined {
  if (live === undefined) return { isMissing: true, changed: [], dropped: [] };
  const changed: string[] = [];
  const dropped: string[] = [];
  // What an object is called nobody owns, and nobody changes.
  const { name: _name, namespace: _namespace, ...metadata } = desired.metadata;
  compareFields({ ...desired, metadata }, live, { path: "", name: "", owned, isQuantity: false }, changed);
  if (owned !== undefined) findDropped(owned, desired, "", dropped);
  return changed.length + dropped.length === 0 ? undefined : { isMissing: false, changed, dropped };
}

type Fields = Readonly<Record<string, unknown>>;

interface Place {
  readonly path: string;
  readonly name: string;
  /** Undefined: not known, or part of what is owned as a whole. */
  readonly owned: OwnedFields | undefined;
  readonly isQuantity: boolean;
}

const NOT_OWNED: OwnedFields = {};

function compareFields(desired: Fields, live: Fields, place: Place, changed: string[]): void {
  for (const [name, value] of Object.entries(desired)) compare(value, live[name], fieldOf(place, name), changed);
}

function compare(desired: unknown, live: unknown, place: Place, changed: string[]): void {
  if (desired === undefined) return;
  const { path, owned } = place;
  // The server leaves out what is nothing ("" and false and such), and keeps it as ours: what is not ours any more was
  // taken away. Of what is empty it may not even keep that.
  if (live === undefined && isNothing(desired) && (owned !== NOT_OWNED || isEmpty(desired))) return;
  if (typeof desired !== "object" || desired === null) {
    if (desired !== live && !(place.isQuantity && isSameQuantity(desired, live))) changed.push(path);
    return;
  }
  if (isEmpty(desired) && Array.isArray(desired) === Array.isArray(live)) return;
  // Who changes a part of a value that is owned as a whole, a selector say, takes it from us: an addition shows only here.
  if (owned === NOT_OWNED) changed.push(path);
  else if (Array.isArray(desired) && Array.isArray(live)) compareLists(desired, live, place, changed);
  else if (isFields(desired) && isFields(live)) compareFields(desired, live, place, changed);
  else changed.push(path);
}

/** How a list is merged is the server's knowledge. It shows in the way it wrote down what of the list is ours. */
function compareLists(desired: readonly unknown[], live: readonly unknown[], place: Place, changed: string[]): void {
  const { path, owned } = place;
  const ownedKeys = Object.keys(owned ?? {});
  if (ownedKeys.some((key) => key.startsWith("k:"))) {
    for (const [i, item] of desired.entries()) {
      const key = ownedKeys.find((ownedKey) => isItem(ownedKey, item));
      if (key === undefined) changed.push(`${path}[${i}]`);
      else {
        const same = live.find((candidate) => isItem(key, candidate));
        compare(item, same, { ...place, path: `${path}${itemText(key)}`, owned: owned![key] }, changed);
      }
    }
  } else if (ownedKeys.some((key) => key.startsWith("v:"))) {
    if (desired.some((value) => !live.includes(value))) changed.push(path);
  } else if (desired.length !== live.length) changed.push(path);
  else
    for (const [i, item] of desired.entries())
      compare(item, live[i], { ...place, path: `${path}[${i}]`, owned: undefined }, changed);
}

function findDropped(owned: OwnedFields, desired: unknown, path: string, dropped: string[]): void {
  for (const [key, below] of Object.entries(owned)) {
    if (key.startsWith("f:") && isFields(desired)) {
      const name = key.slice(2);
      if (desired[name] === undefined) dropped.push(pathOf(path, name));
      else findDropped(below, desired[name], pathOf(path, name), dropped);
    } else if (key.startsWith("k:") && Array.isArray(desired)) {
      const item: unknown = desired.find((candidate) => isItem(key, candidate));
      if (item === undefined) dropped.push(`${path}${itemText(key)}`);
      else findDropped(below, item, `${path}${itemText(key)}`, dropped);
    } else if (key.startsWith("v:") && Array.isArray(desired)) {
      if (!desired.includes(JSON.parse(key.slice(2)))) dropped.push(`${path}[${key.slice(2)}]`);
    }
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isFields(value) && Object.keys(value).length === 0;

/** What Go takes for the absence of a value. */
const isNothing = (value: unknown): boolean =>
  value === "" ||
  value === 0 ||
  value === false ||
  isEmpty(value) ||
  (isFields(value) && Object.values(value).every(isNothing));

/** Whether an item has the keys of `k:{...}`. One that does not say a key has its default, as a port's protocol is TCP. */
const isItem = (key: string, item: unknown): boolean =>
  key.startsWith("k:") &&
  isFields(item) &&
  Object.entries(JSON.parse(key.slice(2)) as Fields).every(
    ([name, value]) => item[name] === undefined || item[name] === value,
  );

const itemText = (key: string): string => `[${Object.values(JSON.parse(key.slice(2)) as Fields).join(",")}]`;

const pathOf = (path: string, name: string): string =>
  path === "" ? name : /^[\w-]+$/.test(name) ? `${path}.${name}` : `${path}[${name}]`;

function fieldOf(place: Place, name: string): Place {
  const { owned } = place;
  const below =
    owned === undefined || owned === NOT_OWNED
      ? owned
      : (owned[`f:${name}`] ?? (Object.keys(owned).length === 0 ? undefined : NOT_OWNED));
  return { path: pathOf(place.path, name), name, owned: below, isQuantity: isQuantity(place.name, name) };
}

/** The few places that hold quantities: anywhere else "1" and "1000m" are two texts. */
const isQuantity = (parent: string, name: string): boolean =>
  ["requests", "limits", "overhead"].includes(parent) ||
  (parent === "emptyDir" && name === "sizeLimit") ||
  (parent === "resourceFieldRef" && name === "divisor");

const isTextOrNumber = (value: unknown): value is string | number =>
  typeof value === "string" || typeof value === "number";

/** The server rounds up to a billionth, the finest that it knows. */
const NANO = 10n ** 9n;

function isSameQuantity(a: unknown, b: unknown): boolean {
  if (!isTextOrNumber(a) || !isTextOrNumber(b)) return false;
  const [left, right] = [parseQuantity(String(a)), parseQuantity(String(b))];
  return left !== undefined && right !== undefined && (left + NANO - 1n) / NANO === (right + NANO - 1n) / NANO;
}
