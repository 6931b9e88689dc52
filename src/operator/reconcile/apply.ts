/**
 * One object brought to what it should be: looked at, judged, and written only when that changes something. What cannot be
 * done is told in words and never ends the run: other objects of the same database may still be helped.
 */
import { createHash } from "node:crypto";
import type { ReasonOf } from "../api/reasons.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { ClusterError } from "../cluster/errors.ts";
import { keyOf, RESOURCES, typeOf, type KubeObject } from "../cluster/objects.ts";
import { ownedFields } from "../cluster/owned-fields.ts";
import type { Cached } from "../cluster/store.ts";
import { difference, type Difference } from "./difference.ts";
import { ownershipOf, type Owner } from "./ownership.ts";
import type { Refusal, Refusals } from "./refusals.ts";
import type { UnstableFields } from "./unstable-fields.ts";
import type { World } from "./world.ts";

export interface ApplyDeps {
  readonly client: Pick<ClusterClient, "get" | "apply">;
  readonly world: World;
  readonly refusals: Refusals;
  readonly unstable: UnstableFields;
}

export interface ApplyContext {
  readonly owner: Owner;
  /** Of the database, before the keys of what is remembered about its objects. */
  readonly keyPrefix: string;
  /** Nothing may be written. */
  readonly isPaused: boolean;
  /** Whether the database is still there, asked of the API server itself before something is made for it. */
  readonly isStillWanted: () => Promise<boolean>;
}

export interface Written {
  readonly difference: Difference;
  readonly before: KubeObject | undefined;
}

export interface Applied {
  /** Whether there is an object of ours that others may be built on, be it as it should be or not. */
  readonly isInPlace: boolean;
  readonly obstacle?: { readonly reason: ReasonOf<"Reconciled">; readonly message: string };
  readonly written?: Written;
  /** Not as it should be, and not written because nothing may be. */
  readonly isWaiting?: boolean;
  readonly refusal?: Refusal;
  /** Fields that are left to somebody else from now on. */
  readonly newlyLeft?: readonly string[];
  /** When to try again though nothing happens. */
  readonly retryInMs?: number;
  /** To be tried again soon, by the queue's own backoff. */
  readonly error?: ClusterError;
}

export async function applyObject(wanted: KubeObject, context: ApplyContext, deps: ApplyDeps): Promise<Applied> {
  const { refusals, unstable } = deps;
  const key = objectKey(context.keyPrefix, wanted);
  const live = await liveOf(wanted, context, deps);
  const fingerprint = fingerprintOf(wanted);
  if (live instanceof ClusterError) {
    refusals.refused(key, fingerprint, live);
    return { isInPlace: false, ...refusedAs(wanted, refusals.get(key)), error: live };
  }
  if (live !== undefined) {
    const obstacle = foreignness(live.object, context.owner);
    // Nobody tells when one that is not labelled as ours goes.
    if (obstacle !== undefined)
      return { isInPlace: false, obstacle, ...(!live.isWatched && { retryInMs: LOOK_AGAIN_MS }) };
  }
  const found = difference(wanted, live?.object, live?.owned);
  const { difference: worth, left, newlyLeft } = unstable.judge(key, fingerprint, found);
  const isInPlace = live !== undefined;
  const stays: Applied = {
    isInPlace,
    ...(left.length > 0 && { obstacle: { reason: "UnstableField", message: leftText(wanted, left) } }),
    ...(newlyLeft.length > 0 && { newlyLeft }),
  };
  if (worth === undefined) {
    if (found === undefined) refusals.taken(key);
    return stays;
  }
  if (context.isPaused) return { ...stays, isWaiting: true };
  const waitMs = refusals.waitMs(key, fingerprint);
  if (waitMs > 0) return { ...stays, ...refusedAs(wanted, refusals.get(key)), retryInMs: waitMs };
  return { ...stays, ...(await write(wanted, { live, worth, key, fingerprint }, context, deps)) };
}

interface Found extends Cached {
  /** Whether a watch tells of its changes. */
  readonly isWatched: boolean;
}

/** After which an object of somebody else's under our name is looked for again. */
const LOOK_AGAIN_MS = 60_000;

interface Write {
  readonly live: Cached | undefined;
  readonly worth: Difference;
  readonly key: string;
  readonly fingerprint: string;
}

async function write(
  wanted: KubeObject,
  { live, worth, key, fingerprint }: Write,
  { isStillWanted }: ApplyContext,
  { client, world, refusals, unstable }: ApplyDeps,
): Promise<Applied> {
  try {
    if (live === undefined && !(await isStillWanted())) return { isInPlace: false };
    // With its uid only the object that was judged is written, and not one that came in its place.
    const uid = live?.object.metadata.uid;
    const target = uid === undefined ? wanted : { ...wanted, metadata: { ...wanted.metadata, uid } };
    world.put(await client.apply(target));
    refusals.taken(key);
    if (live !== undefined) unstable.repaired(key, fingerprint, worth);
    return { isInPlace: true, written: { difference: worth, before: live?.object } };
  } catch (error) {
    if (!(error instanceof ClusterError) || error.reason === "NotLeader") throw error;
    // The namespace goes, and takes everything along.
    if (error.isNamespaceTerminating) return { isInPlace: false };
    const isInPlace = live !== undefined;
    // Another was faster, or what we saw is gone: the watch tells, and the next run sees.
    if (error.isConflict || error.isAlreadyExists) return { isInPlace, error };
    const isFinal = refusals.refused(key, fingerprint, error);
    const told = refusedAs(wanted, refusals.get(key));
    return isFinal
      ? { isInPlace, ...told, retryInMs: refusals.waitMs(key, fingerprint) }
      : { isInPlace, ...told, error };
  }
}

/**
 * The object as the store has it. One that the store does not have may still be there: made a moment ago, or by somebody
 * else and without our label.
 */
async function liveOf(
  wanted: KubeObject,
  { isPaused }: ApplyContext,
  { client, world }: ApplyDeps,
): Promise<Found | undefined | ClusterError> {
  const known = world.child({ ...wanted, ...keyOf(wanted) });
  if (known !== undefined) return { ...known, isWatched: true };
  if (isPaused) return undefined;
  try {
    const object = await client.get(typeOf(wanted), keyOf(wanted));
    return object && { object, owned: ownedFields(object), isWatched: false };
  } catch (error) {
    if (error instanceof ClusterError) return error;
    throw error;
  }
}

/** What forbids to write an object; undefined when it is ours. */
function foreignness(object: KubeObject, owner: Owner): Applied["obstacle"] {
  const ownership = ownershipOf(object, owner);
  const what = nameOf(object);
  switch (ownership.kind) {
    case "ours":
      return undefined;
    case "leaving":
      return { reason: "WaitingForDeletion", message: `${what} is being deleted.` };
    case "foreign":
      return {
        reason: "NameCollision",
        message: `There is a ${what} that does not belong to this database; it is left alone. Rename or delete it, or choose another name for this resource.`,
      };
    case "another":
      return {
        reason: "ManagedByAnother",
        message: `${what} was made by the operator of installation ${ownership.installation}, and this one is ${owner.installation}. To take it over, stop that one and start this one with --installation=${ownership.installation}.`,
      };
  }
}

const REFUSED_REASONS: Readonly<Record<Refusal["kind"], ReasonOf<"Reconciled">>> = {
  Quota: "QuotaExceeded",
  Forbidden: "Forbidden",
  Invalid: "Refused",
  Failing: "ApplyFailed",
};

function refusedAs(wanted: KubeObject, refusal: Refusal | undefined): Partial<Applied> {
  if (refusal === undefined) return {};
  const message = `${nameOf(wanted)} cannot be written: ${refusal.message}`;
  return { refusal, obstacle: { reason: REFUSED_REASONS[refusal.kind], message } };
}

const leftText = (wanted: KubeObject, left: readonly string[]): string =>
  `${nameOf(wanted)}: ${left.join(", ")} ${left.length === 1 ? "is" : "are"} set back by somebody else each time; left alone.`;

export const nameOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.name}`;

/** Among what is remembered of objects. */
export const objectKey = (prefix: string, object: KubeObject): string => `${prefix}${nameOf(object)}`;

const fingerprintOf = (object: KubeObject): string =>
  createHash("sha256").update(JSON.stringify(object)).digest("base64url");

/** Whether a change of an object starts other pods. */
export const isTemplateChange = (object: KubeObject, { changed, dropped }: Difference): boolean =>
  typeOf(object) === RESOURCES.statefulSet && [...changed, ...dropped].some((path) => path.startsWith("spec.template"));
