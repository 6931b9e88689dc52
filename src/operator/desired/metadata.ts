/** Labels, annotations and owners of what is made for a database. */
import { GROUP, KIND, VERSION } from "../api/schema.ts";
import type { Database, Facts } from "./facts.ts";
import type { KubeObject } from "../cluster/objects.ts";

export const MANAGER = "tsdb-operator";

/** Which database an object belongs to; together with its name it makes a claim ours. */
export const DATABASE_LABEL = "tsdb.dev/database";
/** Tells the two Services of a database apart. */
export const SERVICE_LABEL = "tsdb.dev/service";
/** Of the operator's installation that an object belongs to. */
export const INSTALLATION_ANNOTATION = "tsdb.dev/installation";
/** On a claim: the image that last ran on it, for a database that is made again from its volume. */
export const IMAGE_ANNOTATION = "tsdb.dev/image";
/** On a StatefulSet: which way its pods' template was built, and what came of it. */
export const TEMPLATE_REVISION_ANNOTATION = "tsdb.dev/template-revision";
export const TEMPLATE_HASH_ANNOTATION = "tsdb.dev/template-hash";
/** On the pods' template: of the settings that only a restart brings into force. */
export const CONFIG_ANNOTATION = "tsdb.dev/config";
/** On the pods' template: another value is another start. */
export const RESTART_ANNOTATION = "tsdb.dev/restart";

/** Keys that begin so are the operator's. */
export const RESERVED_PREFIX = `${GROUP}/`;

const NAME_LABELS = { "app.kubernetes.io/name": "tsdb" } as const;

/**
 * Labels of every object. Never `app.kubernetes.io/instance`: Argo CD knows by it what it made, and would prune the volumes.
 */
export const labelsOf = ({ name }: Pick<Database, "name">): Readonly<Record<string, string>> => ({
  ...NAME_LABELS,
  "app.kubernetes.io/component": "database",
  "app.kubernetes.io/managed-by": MANAGER,
  [DATABASE_LABEL]: name,
});

/** Selects the pods of a database. A StatefulSet keeps its selector for ever. */
export const selectorOf = ({ name }: Pick<Database, "name">): Readonly<Record<string, string>> => ({
  ...NAME_LABELS,
  [DATABASE_LABEL]: name,
});

/** Lets Kubernetes delete an object together with its database. */
export const ownerReferenceOf = ({ name, uid }: Pick<Database, "name" | "uid">) => ({
  apiVersion: `${GROUP}/${VERSION}`,
  kind: KIND,
  name,
  uid,
  // Without blockOwnerDeletion: where OwnerReferencesPermissionEnforcement is on, as in OpenShift, it would take a right to
  // change finalizers, and all it does is make `kubectl delete --cascade=foreground` wait.
  controller: true,
});

export interface Extra {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Metadata of an object that goes with its database. The database's own labels and annotations are not passed on. */
export const metadataOf = (
  database: Database,
  facts: Facts,
  name: string,
  { labels, annotations }: Extra = {},
): KubeObject["metadata"] => ({
  name,
  namespace: database.namespace,
  labels: { ...labelsOf(database), ...labels },
  annotations: { ...annotations, [INSTALLATION_ANNOTATION]: facts.installation },
  ownerReferences: [ownerReferenceOf(database)],
});
