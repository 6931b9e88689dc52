/**
 * Whose an object is that has a name which we need. Only what is ours is written: an object of somebody else's under our name
 * is never taken over, and what an earlier database of the same name has left is waited for, or taken up where it was kept.
 */
import { GROUP, KIND } from "../api/schema.ts";
import { RESOURCES, typeOf, type KubeObject } from "../cluster/objects.ts";
import { DATABASE_LABEL, INSTALLATION_ANNOTATION } from "../desired/metadata.ts";

export type Ownership =
  | { readonly kind: "ours" }
  /** Belongs to nobody that we know. */
  | { readonly kind: "foreign" }
  /** Made by another installation of the operator. */
  | { readonly kind: "another"; readonly installation: string }
  /** Goes away by itself. */
  | { readonly kind: "leaving" };

export interface Owner {
  readonly name: string;
  readonly uid: string;
  readonly installation: string;
}

export function ownershipOf(object: KubeObject, { name, uid, installation }: Owner): Ownership {
  const { ownerReferences = [], labels = {}, annotations = {}, deletionTimestamp } = object.metadata;
  const controller = ownerReferences.find((reference) => reference.controller === true);
  const madeBy = annotations[INSTALLATION_ANNOTATION];
  const isLabelled = labels[DATABASE_LABEL] === name;
  if (controller === undefined) {
    // Claims outlive their database, and a StatefulSet makes some with no annotation. Anything else has lost its owner by
    // `kubectl delete --cascade=orphan`, or was never ours.
    const isKept = typeOf(object) === RESOURCES.persistentVolumeClaim && madeBy === undefined;
    if (!isLabelled || (madeBy === undefined && !isKept)) return { kind: "foreign" };
  } else if (controller.uid !== uid) {
    const isEarlier =
      controller.kind === KIND && controller.apiVersion.startsWith(`${GROUP}/`) && controller.name === name;
    return { kind: isEarlier ? "leaving" : "foreign" };
  }
  if (madeBy !== undefined && madeBy !== installation) return { kind: "another", installation: madeBy };
  return { kind: deletionTimestamp === undefined ? "ours" : "leaving" };
}
