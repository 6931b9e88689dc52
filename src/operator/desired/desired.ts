/**
 * What should be in the cluster for one database: a function of its spec and of a few facts, without a clock, a cluster or
 * a memory of its own. Two calls with the same arguments give the same objects, so that a run which finds them there writes
 * nothing.
 */
import { networkPolicy, serviceAccount } from "./access.ts";
import { claims } from "./claims.ts";
import { configMap } from "./config-map.ts";
import { podDisruptionBudget } from "./disruption.ts";
import { engineFile } from "./engine-file.ts";
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { IMAGE_ANNOTATION } from "./metadata.ts";
import { serviceMonitor, SERVICE_MONITOR } from "./monitoring.ts";
import { claimName, CONTAINER, networkPolicyName, podDisruptionBudgetName, serviceMonitorName } from "./names.ts";
import { overlayProblems } from "./overlay-rules.ts";
import { reservedKeyProblems } from "./reserved-keys.ts";
import { headlessService, service } from "./services.ts";
import { statefulSet } from "./stateful-set.ts";

export type { Database, Facts } from "./facts.ts";

/** An object by what it is called. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface DesiredObjects {
  readonly kind: "objects";
  /** In the order in which they are applied: claims first, then what the pods need, then the pods. */
  readonly objects: readonly KubeObject[];
  /** What may be there from an earlier spec, and is not wanted any more. Never a claim, a StatefulSet or a pod. */
  readonly unwanted: readonly ObjectReference[];
  /** What the pods are to run. */
  readonly image: string;
  /** Of the engine's file: what /-/state says as `configFileHash` once a member has read it. */
  readonly configFileHash: string;
}

/** A spec that the schema takes and that cannot be built: nothing is to be changed. */
export interface InvalidSpec {
  readonly kind: "invalid";
  /** Each a sentence that begins with the field and says what to do. */
  readonly problems: readonly string[];
}

export type Desired = DesiredObjects | InvalidSpec;

export function desired(database: Database, facts: Facts): Desired {
  const engine = engineFile(database.spec);
  const problems = [...reservedKeyProblems(database), ...overlayProblems(database), ...engine.problems];
  if (problems.length > 0) return { kind: "invalid", problems };

  const image = imageOf(database, facts);
  const policy = networkPolicy(database, facts);
  const budget = podDisruptionBudget(database, facts);
  const monitor = serviceMonitor(database, facts);
  const objects = [
    ...claims(database, facts, image),
    configMap(database, facts, engine),
    serviceAccount(database, facts),
    headlessService(database, facts),
    service(database, facts),
    policy,
    budget,
    statefulSet(database, facts, image, engine),
    monitor,
  ].filter((object) => object !== undefined);

  const unwanted: ObjectReference[] = [];
  const reference = (apiVersion: string, kind: string, name: string) =>
    void unwanted.push({ apiVersion, kind, namespace: database.namespace, name });
  if (!policy) reference("networking.k8s.io/v1", "NetworkPolicy", networkPolicyName(database));
  if (!budget) reference("policy/v1", "PodDisruptionBudget", podDisruptionBudgetName(database));
  if (!monitor && facts.hasServiceMonitors)
    reference(SERVICE_MONITOR.apiVersion, SERVICE_MONITOR.kind, serviceMonitorName(database));

  return { kind: "objects", objects, unwanted, image, configFileHash: engine.hash };
}

/**
 * What the spec says; else what runs, so that a newer operator with a newer default restarts nobody; else what last ran on
 * the volume, which may hold what an older engine cannot read.
 */
function imageOf(database: Database, { statefulSet: live, claims: liveClaims, defaultImage }: Facts): string {
  const { image } = database.spec;
  if (image !== undefined) return image;
  const template = (live?.["spec"] as LiveSpec | undefined)?.template;
  const running = template?.spec?.containers?.find(({ name }) => name === CONTAINER)?.image;
  return running ?? liveClaims.get(claimName(database, 0))?.metadata.annotations?.[IMAGE_ANNOTATION] ?? defaultImage;
}

/** As much as is read of a StatefulSet that somebody else may have written. */
interface LiveSpec {
  readonly template?: {
    readonly spec?: { readonly containers?: readonly { readonly name: string; readonly image?: string }[] };
  };
}
