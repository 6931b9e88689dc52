/**
 * One run for one database: read what is there, work out what should be, write what differs, say how it is. A run holds
 * nothing from one step to the next but what it has just read; it may die anywhere and be run again.
 *
 *   spec ─▶ claims ─▶ what pods need ─▶ Services, policies ─▶ StatefulSet ─▶ what is not wanted any more ─▶ status
 *
 * A step that fails does not stop later ones, but those that build on it: no StatefulSet without its claims being ours.
 */
import { eventTable, type EventReason } from "../api/reasons.ts";
import type { Status } from "../api/status.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { ClusterError } from "../cluster/errors.ts";
import type { ClusterClient } from "../cluster/client.ts";
import type { EventNote } from "../cluster/events.ts";
import { keyOf, parseKey, RESOURCES, typeOf, type KubeObject } from "../cluster/objects.ts";
import { readDatabase } from "../desired/database.ts";
import { desired, type Database, type DesiredObjects, type Facts } from "../desired/desired.ts";
import { RESTART_ANNOTATION, selectorOf, TEMPLATE_HASH_ANNOTATION } from "../desired/metadata.ts";
import { claimName, podName, statefulSetName } from "../desired/names.ts";
import { applyObject, isTemplateChange, nameOf, objectKey, type Applied, type ApplyContext } from "./apply.ts";
import { ACCEPT_VOLUME_ANNOTATION, type Obstacle } from "./conditions.ts";
import type { EngineStates } from "./engine-states.ts";
import { isPodReady, type LiveClaim, type LiveDatabase, type LiveStatefulSet } from "./live.ts";
import type { Member } from "./members.ts";
import { ownershipOf } from "./ownership.ts";
import type { Refusals } from "./refusals.ts";
import { partitionOf } from "./rollout.ts";
import { isSameStatus, statusOf } from "./status.ts";
import { storageOutcome, type StorageOutcome } from "./storage.ts";
import type { UnstableFields } from "./unstable-fields.ts";
import type { World } from "./world.ts";

export interface ReconcileDeps {
  readonly client: Pick<ClusterClient, "get" | "apply" | "applyStatus" | "delete">;
  readonly world: World;
  readonly engineStates: Pick<EngineStates, "get" | "hasAsked">;
  readonly refusals: Refusals;
  readonly unstable: UnstableFields;
  readonly events: { record(note: EventNote): void };
  /** Told of each field that is left alone from now on. */
  readonly onUnstableField: (kind: string, path: string) => void;
  readonly facts: Pick<Facts, "installation" | "defaultImage" | "operatorNamespace">;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Result {
  /** When to look again though nothing happens; undefined: no need. */
  readonly lookAgainInMs: number | undefined;
}

/** @throws what is to be tried again soon */
export async function reconcile(key: string, deps: ReconcileDeps): Promise<Result> {
  const live = deps.world.database(parseKey(key));
  const prefix = `${key} `;
  if (live === undefined || live.metadata.deletionTimestamp !== undefined) {
    // Owner references let Kubernetes collect what was made, and nothing else is left of it here.
    deps.refusals.forget(prefix);
    deps.unstable.forget(prefix);
    return { lookAgainInMs: undefined };
  }
  return new Run(key, live, deps).run();
}

class Run {
  readonly #key: string;
  readonly #live: LiveDatabase;
  readonly #deps: ReconcileDeps;
  readonly #obstacles: Obstacle[] = [];
  readonly #waiting: string[] = [];
  readonly #errors: ClusterError[] = [];
  #lookAgainInMs: number | undefined;
  #isStillWanted: Promise<boolean> | undefined;

  constructor(key: string, live: LiveDatabase, deps: ReconcileDeps) {
    this.#key = key;
    this.#live = live;
    this.#deps = deps;
  }

  async run(): Promise<Result> {
    const read = readDatabase(this.#live);
    if (read.kind === "invalid") {
      this.#invalid(read.problems);
      await this.#tell(undefined, undefined, undefined);
    } else {
      const { database } = read;
      const storage = this.#storage(database);
      const wanted = this.#desired(database, storage);
      if (wanted !== undefined) {
        await this.#applyAll(wanted, database);
        await this.#deleteUnwanted(wanted, database);
      }
      // What was written a moment ago is what there is now.
      await this.#tell(database, this.#storage(database), wanted);
    }
    if (this.#errors.length > 0) throw this.#errors[0]!;
    return { lookAgainInMs: this.#lookAgainInMs };
  }

  #invalid(problems: readonly string[]): void {
    const message = problems.join(" ");
    this.#obstacles.push({ reason: "InvalidSpec", message });
    this.#event("InvalidSpec", "Read", message);
  }

  #storage(database: Database): StorageOutcome {
    const { refusals, clock } = this.#deps;
    const claims = this.#claims(database);
    const template = this.#statefulSet(database)?.spec?.template;
    const prefix = `${this.#key} `;
    const keyOfClaim = (name: string): string =>
      objectKey(prefix, { apiVersion: "v1", kind: RESOURCES.persistentVolumeClaim.kind, metadata: { name } });
    return storageOutcome({
      size: database.spec.storage.size,
      claims: Array.from({ length: database.spec.replicas }, (_, ordinal) => {
        const name = claimName(database, ordinal);
        return { name, live: claims.get(name) };
      }),
      refusalOf: (name) => refusals.get(keyOfClaim(name)),
      restart: template?.metadata?.annotations?.[RESTART_ANNOTATION],
      nowMs: clock.nowMs(),
    });
  }

  /** What should be; undefined when the spec cannot be built. */
  #desired(database: Database, { restart, lookAgainInMs }: StorageOutcome): DesiredObjects | undefined {
    const { facts, world } = this.#deps;
    this.#lookAgain(lookAgainInMs);
    const statefulSet = this.#statefulSet(database);
    const build = (partition: number) =>
      desired(database, {
        ...facts,
        hasServiceMonitors: world.hasServiceMonitors,
        statefulSet,
        claims: this.#claims(database),
        partition,
        restart,
      });
    const first = build(0);
    if (first.kind === "invalid") {
      this.#invalid(first.problems);
      return undefined;
    }
    const wantedHash = first.objects.find(({ kind }) => kind === RESOURCES.statefulSet.kind)?.metadata.annotations;
    const partition = partitionOf({
      databaseName: database.name,
      replicas: database.spec.replicas,
      statefulSet,
      pods: world.pods(this.#key),
      isTemplateNew:
        wantedHash?.[TEMPLATE_HASH_ANNOTATION] !== statefulSet?.metadata.annotations?.[TEMPLATE_HASH_ANNOTATION],
    });
    if (partition === 0) return first;
    const second = build(partition);
    return second.kind === "objects" ? second : undefined;
  }

  async #applyAll({ objects }: DesiredObjects, database: Database): Promise<void> {
    const context: ApplyContext = {
      owner: { ...database, installation: this.#deps.facts.installation },
      keyPrefix: `${this.#key} `,
      isPaused: database.spec.paused,
      isStillWanted: async () =>
        this.#deps.world.database(parseKey(this.#key))?.metadata.uid === database.uid &&
        (await (this.#isStillWanted ??= this.#askWhetherWanted())),
    };
    const notInPlace: string[] = [];
    for (const object of objects) {
      const isSet = typeOf(object) === RESOURCES.statefulSet;
      if (isSet && notInPlace.length > 0) {
        // Its pods would start on somebody else's volume, or with settings that are not theirs.
        this.#deps.log.debug({ database: this.#key, missing: notInPlace }, "the StatefulSet waits for what it needs");
        if (database.spec.paused) this.#waiting.push(nameOf(object));
        continue;
      }
      const applied = await applyObject(object, context, this.#deps);
      this.#note(object, applied);
      if (!applied.isInPlace && NEEDED_BY_PODS.has(typeOf(object))) notInPlace.push(nameOf(object));
    }
  }

  #note(object: KubeObject, applied: Applied): void {
    const { obstacle, written, isWaiting, refusal, newlyLeft, retryInMs, error } = applied;
    const isGrowth = refusal !== undefined && applied.isInPlace && typeOf(object) === RESOURCES.persistentVolumeClaim;
    // Of a volume that may not grow StorageResized tells; everything else goes on.
    if (obstacle !== undefined && !isGrowth) this.#obstacles.push(obstacle);
    if (obstacle !== undefined && refusal !== undefined) this.#event("ApplyFailed", "Apply", obstacle.message, object);
    if (obstacle?.reason === "NameCollision" || obstacle?.reason === "ManagedByAnother")
      this.#event(obstacle.reason, "Apply", obstacle.message, object);
    if (isWaiting === true) this.#waiting.push(nameOf(object));
    if (error !== undefined) this.#errors.push(error);
    this.#lookAgain(retryInMs);
    for (const path of newlyLeft ?? []) {
      this.#deps.onUnstableField(object.kind, path);
      this.#event("LeftAlone", "Apply", `${nameOf(object)}: ${path} is set back by somebody else each time.`, object);
    }
    if (written !== undefined) this.#tellWritten(object, written);
  }

  #tellWritten(object: KubeObject, { difference, before }: NonNullable<Applied["written"]>): void {
    const fields = [...difference.changed, ...difference.dropped];
    this.#deps.log.info({ database: this.#key, object: nameOf(object), fields }, "applied");
    if (before === undefined) return this.#event("Created", "Apply", `${nameOf(object)} was made.`, object);
    const shown = fields.length > FIELDS_SHOWN ? [...fields.slice(0, FIELDS_SHOWN), "..."] : fields;
    // While the spec is the one that was carried out before, a difference is somebody else's doing.
    if (this.#isSettled()) this.#event("Repaired", "Apply", `${nameOf(object)}: ${shown.join(", ")} set back.`, object);
    if (isTemplateChange(object, difference)) this.#event("RollingOut", "Apply", `Changed: ${shown.join(", ")}.`);
    if (typeOf(object) === RESOURCES.persistentVolumeClaim && fields.some((path) => path.startsWith("spec.resources")))
      this.#event("Growing", "Apply", `${nameOf(object)} is being grown.`, object);
  }

  /** Whether the spec has been carried out already. */
  #isSettled(): boolean {
    const { status, metadata } = this.#live;
    const { observedGeneration, conditions } = (status ?? {}) as Status;
    const reconciled = conditions?.find(({ type }) => type === "Reconciled");
    return observedGeneration === metadata.generation && reconciled?.reason === "UpToDate";
  }

  async #deleteUnwanted({ unwanted }: DesiredObjects, database: Database): Promise<void> {
    const { client, world, facts } = this.#deps;
    for (const reference of unwanted) {
      const object = world.child(reference)?.object;
      const { uid } = object?.metadata ?? {};
      if (object === undefined || uid === undefined) continue;
      if (ownershipOf(object, { ...database, installation: facts.installation }).kind !== "ours") continue;
      if (database.spec.paused) {
        this.#waiting.push(nameOf(object));
        continue;
      }
      try {
        await client.delete(typeOf(object), keyOf(object), { uid });
        this.#event("Deleted", "Delete", `${nameOf(object)} is not asked for any more.`, object);
      } catch (error) {
        if (!(error instanceof ClusterError) || error.reason === "NotLeader") throw error;
        this.#errors.push(error);
      }
    }
  }

  async #tell(
    database: Database | undefined,
    storage: StorageOutcome | undefined,
    wanted: DesiredObjects | undefined,
  ): Promise<void> {
    const { client, world, clock } = this.#deps;
    const { metadata } = this.#live;
    const { namespace, name } = parseKey(this.#key);
    const previous = this.#live.status as Status | undefined;
    const { status, lookAgainInMs } = statusOf({
      namespace,
      name,
      generation: metadata.generation ?? 0,
      spec: database?.spec,
      previous,
      selector: Object.entries(selectorOf({ name }))
        .map(([label, value]) => `${label}=${value}`)
        .join(","),
      configFileHash: wanted?.configFileHash,
      obstacles: this.#obstacles,
      waiting: this.#waiting,
      storage: storage?.findings ?? [],
      statefulSet: this.#statefulSet({ name, namespace }),
      members: this.#members(database),
      acceptedVolume: metadata.annotations?.[ACCEPT_VOLUME_ANNOTATION],
      nowMs: clock.nowMs(),
    });
    this.#lookAgain(lookAgainInMs);
    if (isSameStatus(status, previous)) return;
    const { apiVersion, kind } = this.#live;
    const { uid } = metadata;
    try {
      const object = { apiVersion, kind, metadata: { name, namespace, ...(uid !== undefined && { uid }) }, status };
      world.put(await client.applyStatus(object));
    } catch (error) {
      if (!(error instanceof ClusterError) || error.reason === "NotLeader") throw error;
      // It was deleted meanwhile, or made anew under its name.
      if (error.isNotFound || error.isConflict) return;
      this.#errors.push(error);
    }
  }

  #members(database: Database | undefined): Member[] {
    const { name, namespace } = parseKey(this.#key);
    const { world, engineStates } = this.#deps;
    const pods = world.pods(this.#key);
    const before = this.#live.status as Status | undefined;
    return Array.from({ length: database?.spec.replicas ?? 1 }, (_, ordinal) => {
      const memberName = podName({ name }, ordinal);
      const pod = pods.find(({ metadata }) => metadata.name === memberName);
      const claim = this.#claim(claimName({ name }, ordinal), { name, namespace });
      const state = before?.members?.find((member) => member.name === memberName)?.state;
      const isRemembered = pod !== undefined && isPodReady(pod) && !engineStates.hasAsked(pod) && state !== undefined;
      const engine = isRemembered ? { state, configFileHash: undefined } : pod && engineStates.get(pod);
      return { name: memberName, pod, claim, engine, isRemembered };
    });
  }

  /** The claims of the members that exist and are ours. */
  #claims(database: Database): Map<string, LiveClaim> {
    const claims = new Map<string, LiveClaim>();
    for (let ordinal = 0; ordinal < database.spec.replicas; ordinal++) {
      const claim = this.#claim(claimName(database, ordinal), database);
      if (claim !== undefined) claims.set(claim.metadata.name, claim);
    }
    return claims;
  }

  #claim(name: string, database: { readonly name: string; readonly namespace: string }): LiveClaim | undefined {
    return this.#child(RESOURCES.persistentVolumeClaim.kind, "v1", name, database);
  }

  #statefulSet(database: { readonly name: string; readonly namespace: string }): LiveStatefulSet | undefined {
    return this.#child(RESOURCES.statefulSet.kind, "apps/v1", statefulSetName(database), database);
  }

  /** A child that is ours; what is leaving is still what runs. */
  #child(kind: string, apiVersion: string, name: string, { namespace }: { readonly namespace: string }) {
    const { world, facts } = this.#deps;
    const object = world.child({ apiVersion, kind, namespace, name })?.object;
    if (object === undefined) return undefined;
    const { metadata } = this.#live;
    const owner = { name: metadata.name, uid: metadata.uid ?? "", installation: facts.installation };
    const ownership = ownershipOf(object, owner);
    return ownership.kind === "ours" ? object : undefined;
  }

  /** Our stores may be behind: what is deleted by now must not have anything made for it. */
  async #askWhetherWanted(): Promise<boolean> {
    const object = await this.#deps.client.get(RESOURCES.timeSeriesDB, parseKey(this.#key));
    return object?.metadata.uid === this.#live.metadata.uid && object?.metadata.deletionTimestamp === undefined;
  }

  #lookAgain(inMs: number | undefined): void {
    if (inMs !== undefined) this.#lookAgainInMs = Math.min(this.#lookAgainInMs ?? inMs, inMs);
  }

  #event(reason: EventReason, action: string, note: string, related?: KubeObject): void {
    const [type] = eventTable[reason];
    this.#deps.events.record({
      regarding: this.#live,
      ...(related !== undefined && { related }),
      type,
      reason,
      action,
      note,
    });
  }
}

const NEEDED_BY_PODS = new Set<unknown>([
  RESOURCES.persistentVolumeClaim,
  RESOURCES.configMap,
  RESOURCES.serviceAccount,
]);

/** In an event, which has 1 kB. */
const FIELDS_SHOWN = 8;
