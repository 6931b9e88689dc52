/** What builders are given: a database as its user wants it, and what its spec does not say. */
import type { Spec } from "../api/schema.ts";
import type { KubeObject } from "../cluster/objects.ts";

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
