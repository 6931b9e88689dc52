import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { IMAGE_REGISTRY, IMAGE_REPOSITORY } from "../../src/operator/release.ts";
import { render } from "../../src/operator/desired/render.ts";
import { field, type KubeObject } from "./support/api.ts";
import { helm, objectsOf } from "./support/helm.ts";
import { buildPrograms } from "./support/programs.ts";
import { root } from "./support/run.ts";
import { callsOf, type Call } from "./tilt.ts";

const IMAGE = `${IMAGE_REGISTRY}/${IMAGE_REPOSITORY}`;

let calls: readonly Call[];

beforeAll(async () => {
  await buildPrograms(["starlark", "helm"]);
  calls = callsOf("Tiltfile");
}, 600_000);

const called = (name: string): readonly Call[] => calls.filter((call) => call.function === name);

/** What was given to k8s_yaml, as it would be applied. */
const objects = (): readonly KubeObject[] =>
  called("k8s_yaml").flatMap(({ args }) => {
    const { function: maker, args: given, named } = args[0] as Call;
    if (maker === "encode_yaml") return given[0] as KubeObject;
    const { name, namespace, set } = named as { name: string; namespace: string; set: readonly string[] };
    const flags = set.flatMap((value) => ["--set", value]);
    return objectsOf(helm("template", name, given[0] as string, "--namespace", namespace, ...flags));
  });

const isThere = (path: string): boolean => existsSync(join(root, path));

test("the Tiltfile builds the image of the release from a stage of the Dockerfile, and syncs files that exist", () => {
  const [{ args, named }] = called("docker_build") as [Call];
  expect(args[0]).toBe(IMAGE);
  expect(readFileSync(join(root, "Dockerfile"), "utf8")).toMatch(new RegExp(`AS ${String(named["target"])}$`, "m"));
  const steps = named["live_update"] as readonly Call[];
  const local = steps.map((step) => (step.function === "sync" ? step.args[0] : (step.named["trigger"] as string[])[0]));
  expect(local.filter((path) => !isThere(path as string))).toEqual([]);
  for (const step of steps) if (step.function === "sync") expect(step.args[1]).toBe(`/app/${String(step.args[0])}`);
});

test("the Tiltfile's operator may be written to, and is the image that Tilt builds", () => {
  const deployment = objects().find(({ kind }) => kind === "Deployment");
  const container = field(deployment, "spec.template.spec.containers.0");
  expect(field(container, "image")).toMatch(new RegExp(`^${IMAGE}:`));
  expect(field(container, "securityContext")).toMatchObject({
    readOnlyRootFilesystem: false,
    allowPrivilegeEscalation: false,
  });
});

test("the Tiltfile's database is taken by the operator, may be written to, and is the image that Tilt builds", () => {
  const database = objects().find(({ kind }) => kind === "TimeSeriesDB");
  const [{ args, named }] = called("k8s_kind") as [Call];
  expect([args[0], named["api_version"]]).toEqual([database?.kind, database?.apiVersion]);
  // Tilt puts the name of what it built where this path leads.
  expect(field(database, (named["image_json_path"] as string).slice(2, -1))).toBe(IMAGE);
  const facts = {
    installation: "tsdb-system/tsdb-operator",
    defaultImage: IMAGE,
    operatorNamespace: "tsdb-system",
    hasServiceMonitors: false,
  };
  const { text, problems } = render(JSON.stringify(database), facts);
  expect(problems).toEqual([]);
  const statefulSet = objectsOf(text).find(({ kind }) => kind === "StatefulSet");
  const containers = field(statefulSet, "spec.template.spec.containers") as readonly object[];
  expect(containers).toHaveLength(1);
  expect(field(containers[0], "securityContext.readOnlyRootFilesystem")).toBe(false);
});

test("every resource that the Tiltfile names is one, and waits only for such", () => {
  const workloads = objects().filter(({ kind }) => ["Deployment", "TimeSeriesDB"].includes(kind));
  const ids = objects().map(({ kind, metadata }) => `${metadata.name}:${kind.toLowerCase()}`);
  const names = new Set(workloads.map(({ metadata }) => metadata.name));
  for (const { args, named } of called("k8s_resource")) {
    if (named["new_name"] === undefined) expect(names).toContain(args[0]);
    for (const id of (named["objects"] ?? []) as readonly string[]) expect(ids).toContain(id);
  }
  for (const { named } of called("k8s_resource"))
    if (typeof named["new_name"] === "string") names.add(named["new_name"]);
  for (const { args } of called("local_resource")) names.add(String(args[0]));
  const awaited = calls.flatMap(({ named }) => (named["resource_deps"] ?? []) as readonly string[]);
  expect(awaited.filter((name) => !names.has(name))).toEqual([]);
});
