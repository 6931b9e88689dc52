/**
 * What should be in the cluster for one database: a function of its spec and of a few facts, without a clock, a cluster or
 * a memory of its own. Two calls with the same arguments give the same objects, so that a run which finds them there writes
 * nothing.
 */
import type { Spec } from "../api/schema.ts";
import type { KubeObject } from "./kube-object.ts";

/** A TimeSeriesDB whose spec was read through the schema. */
export interface Database {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly spec: Spec;
}

/** What the spec does not say. */
export interface Facts {
  /** Id of the installation whose operator this is; children carry it. */
  readonly installation: string;
  /** Image of a database that has none yet and asks for none. */
  readonly defaultImage: string;
  /** Where the operator's own pods are; undefined when it runs outside of the cluster. */
  readonly operatorNamespace: string | undefined;
  /** Whether the cluster knows ServiceMonitors. */
  readonly hasServiceMonitors: boolean;
  /** The database's StatefulSet, if it is ours: image, claim template and template revision are read from it. */
  readonly statefulSet: KubeObject | undefined;
  /** The members' claims that exist and are ours, by name. */
  readonly claims: ReadonlyMap<string, KubeObject>;
  /** Members below this ordinal keep their old template; 0 rolls all. */
  readonly partition: number;
  /** Put on the pods' template: another value rolls them. For growth that only a restart completes. */
  readonly restart: string | undefined;
}

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
