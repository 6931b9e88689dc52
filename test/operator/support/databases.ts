/** Databases to build objects for. */
import { expect } from "vitest";
import { readDatabase } from "../../../src/operator/desired/database.ts";
import { desired, type Database, type DesiredObjects, type Facts } from "../../../src/operator/desired/desired.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";
import type { PodSpec } from "./pod-security.ts";

/** A spec with what it must have, and what a test is about. */
export function databaseOf(spec: object = {}, metadata: object = {}): Database {
  const read = readDatabase({
    apiVersion: "tsdb.dev/v1",
    kind: "TimeSeriesDB",
    metadata: { name: "metrics", namespace: "monitoring", uid: "11111111-2222-3333-4444-555555555555", ...metadata },
    spec: { storage: { size: "10Gi" }, ...spec },
  });
  expect(read).toMatchObject({ kind: "database" });
  return (read as Extract<typeof read, { kind: "database" }>).database;
}

export const factsOf = (facts: Partial<Facts> = {}): Facts => ({
  installation: "tsdb-system/tsdb-operator",
  defaultImage: "registry.example/tsdb:1.0.0",
  operatorNamespace: "tsdb-system",
  hasServiceMonitors: false,
  statefulSet: undefined,
  claims: new Map(),
  partition: 0,
  restart: undefined,
  ...facts,
});

export function built(spec: object = {}, facts: Partial<Facts> = {}, metadata: object = {}): DesiredObjects {
  const made = desired(databaseOf(spec, metadata), factsOf(facts));
  expect(made).toMatchObject({ kind: "objects" });
  return made as DesiredObjects;
}

/** Why a spec is refused that the schema takes. */
export function problemsOf(spec: object, metadata: object = {}): readonly string[] {
  const made = desired(databaseOf(spec, metadata), factsOf());
  return made.kind === "invalid" ? made.problems : [];
}

export function one({ objects }: DesiredObjects, kind: string): KubeObject {
  const found = objects.filter((object) => object.kind === kind);
  expect(found, `one ${kind}`).toHaveLength(1);
  return found[0]!;
}

/** What is at a path in raw JSON, such as `spec.ports.0.name`. */
export function at(json: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce((inner, name) => (inner as Readonly<Record<string, unknown>> | undefined)?.[name], json);
}

/** As much of a pod's template as tests look at. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: PodSpec & {
    readonly containers: readonly (Readonly<Record<string, unknown>> & {
      readonly image: string;
      readonly volumeMounts: readonly object[];
    })[];
    readonly volumes: readonly Readonly<Record<string, unknown>>[];
  };
}

export const templateOf = (made: DesiredObjects): PodTemplate =>
  at(one(made, "StatefulSet"), "spec.template") as PodTemplate;
