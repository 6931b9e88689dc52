/** The claims for the members' volumes, made and grown by the operator; a StatefulSet makes them once and never again. */
import { compareQuantities, parseQuantity } from "../api/quantity.ts";
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";
import { IMAGE_ANNOTATION, INSTALLATION_ANNOTATION, labelsOf, ownerReferenceOf } from "./metadata.ts";
import { claimName, DATA_VOLUME } from "./names.ts";

interface ClaimSpec {
  readonly accessModes: readonly string[];
  readonly storageClassName?: string;
  readonly resources: { readonly requests: { readonly storage: string } };
}

const ACCESS_MODES = ["ReadWriteOnce"] as const;

export const claims = (database: Database, facts: Facts, image: string): readonly KubeObject[] =>
  Array.from({ length: database.spec.replicas }, (_, ordinal) => claim(database, facts, image, ordinal));

function claim(database: Database, facts: Facts, image: string, ordinal: number): KubeObject {
  const name = claimName(database, ordinal);
  const live = facts.claims.get(name);
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name,
      namespace: database.namespace,
      labels: labelsOf(database),
      annotations: { [IMAGE_ANNOTATION]: image, [INSTALLATION_ANNOTATION]: facts.installation },
      // Without an owner a volume outlives its database, and is taken up by the next one of that name.
      ...(database.spec.storage.whenDeleted === "Delete" && { ownerReferences: [ownerReferenceOf(database)] }),
    },
    spec: live === undefined ? newClaim(database) : grownClaim(database, live as unknown as LiveClaim),
  };
}

const newClaim = ({ spec: { storage } }: Database): ClaimSpec => ({
  accessModes: ACCESS_MODES,
  ...(storage.className !== undefined && { storageClassName: storage.className }),
  resources: { requests: { storage: storage.size } },
});

interface LiveClaim {
  readonly spec: ClaimSpec;
  readonly status?: { readonly phase?: string };
}

/**
 * Of a claim that exists only the size may change, only upwards, and only once it has a volume; what cannot change is said as
 * it is.
 */
function grownClaim({ spec: { storage } }: Database, { spec: live, status }: LiveClaim): ClaimSpec {
  const size = live.resources.requests.storage;
  const isLarger = parseQuantity(size) === undefined || compareQuantities(storage.size, size) > 0;
  const isGrowth = isLarger && status?.phase === "Bound";
  return {
    accessModes: live.accessModes,
    ...(live.storageClassName !== undefined && { storageClassName: live.storageClassName }),
    resources: { requests: { storage: isGrowth ? storage.size : size } },
  };
}

interface ClaimTemplate {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: ClaimSpec;
}

/**
 * The template in a StatefulSet, which can never be changed: once there it is said as it stands there, whatever became of
 * size and class. It serves only when somebody deletes a claim while the operator is away.
 */
export function claimTemplate(database: Database, facts: Facts): ClaimTemplate {
  const templates = (
    facts.statefulSet?.["spec"] as { readonly volumeClaimTemplates?: readonly ClaimTemplate[] } | undefined
  )?.volumeClaimTemplates;
  const live = templates?.find(({ metadata }) => metadata.name === DATA_VOLUME);
  if (live === undefined)
    return { metadata: { name: DATA_VOLUME, labels: labelsOf(database) }, spec: newClaim(database) };
  const { accessModes, storageClassName, resources } = live.spec;
  return {
    metadata: { name: DATA_VOLUME, ...(live.metadata.labels && { labels: live.metadata.labels }) },
    spec: {
      accessModes,
      ...(storageClassName !== undefined && { storageClassName }),
      resources: { requests: { storage: resources.requests.storage } },
    },
  };
}
