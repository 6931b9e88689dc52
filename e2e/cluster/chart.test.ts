import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect } from "vitest";
import { field, type KubeObject } from "./support/api.ts";
import { CHART, helm, kubectl, objectsOf, rendered } from "./support/helm.ts";
import { buildPrograms } from "./support/programs.ts";
import { root } from "./support/run.ts";
import { test, type TestCluster } from "./support/test-cluster.ts";

const install = readFileSync(join(root, "deploy/install.yaml"), "utf8");

beforeAll(() => buildPrograms(["helm", "kubectl"]), 600_000);

describe("the chart", () => {
  test("has nothing that Helm's linter finds", () => {
    expect(helm("lint", "--strict", CHART)).toContain("0 chart(s) failed");
  });

  test("makes, with its defaults, what deploy/install.yaml makes", () => {
    const theirs = new Map(objectsOf(install).map((object) => [idOf(object), withoutHelm(object)]));
    // Helm makes the namespace itself, when it is told to.
    theirs.delete("Namespace/tsdb-system");
    const ours = new Map(rendered("tsdb-operator", "tsdb-system").map((object) => [idOf(object), withoutHelm(object)]));
    expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted());
    for (const [id, object] of ours) expect(object, id).toEqual(theirs.get(id));
  });

  test("refuses a value that is none, and one of the wrong type, and names it", () => {
    expect(() => rendered("x", "y", "--set", "wrokers=2")).toThrow(/'wrokers' not allowed/);
    expect(() => rendered("x", "y", "--set", "workers=many")).toThrow("'/workers': got string, want integer");
    expect(() => rendered("x", "y", "--set", "log.level=loud")).toThrow(/'\/log\/level'/);
    expect(() => rendered("x", "y", "--set", "serviceAccount.create=false")).toThrow("set serviceAccount.name");
  });

  test("keeps the kind when it is uninstalled, unless it is told not to", () => {
    const annotation = (...flags: string[]) =>
      rendered("x", "y", ...flags).find(({ kind }) => kind === "CustomResourceDefinition")?.metadata.annotations;
    expect(annotation()).toEqual({ "helm.sh/resource-policy": "keep" });
    expect(annotation("--set", "crd.keep=false")).toBeUndefined();
    expect(rendered("x", "y", "--set", "crd.create=false").map(({ kind }) => kind)).not.toContain(
      "CustomResourceDefinition",
    );
  });

  test("gives the operator of two namespaces rights in these, and in no other", () => {
    const objects = rendered("op", "team", "--set", "namespaces={prod,test},rbac.aggregate=false");
    expect(objects.filter(({ kind }) => kind.startsWith("Cluster"))).toEqual([]);
    const places = objects.filter(({ kind }) => kind === "RoleBinding").map(({ metadata }) => metadata.namespace!);
    expect(new Set(places)).toEqual(new Set(["prod", "team", "test"]));
    const deployment = objects.find(({ kind }) => kind === "Deployment");
    expect(field(deployment, "spec.template.spec.containers.0.args")).toContain("--namespaces=prod,test");
  });

  test("makes a ServiceMonitor of the operator for who asks for one", () => {
    const flags = ["--set", "serviceMonitor.create=true,serviceMonitor.labels.release=prometheus"];
    const objects = rendered("op", "team", ...flags);
    const service = objects.find(({ kind }) => kind === "Service")!;
    const monitor = objects.find(({ kind }) => kind === "ServiceMonitor")!;
    expect(monitor.metadata.labels).toMatchObject({ release: "prometheus" });
    expect(service.metadata.labels).toMatchObject(field(monitor, "spec.selector.matchLabels") as object);
    expect(field(monitor, "spec.endpoints.0.port")).toBe(field(service, "spec.ports.0.name"));
  });

  test("of two releases each has rights of its own", () => {
    const names = (namespace: string) =>
      rendered("tsdb-operator", namespace)
        .filter(({ kind }) => ["ClusterRole", "ClusterRoleBinding"].includes(kind))
        .map(idOf);
    expect(new Set([...names("tsdb-system"), ...names("other")]).size).toBe(8);
  });
});

/** Flags with which every template does all that it can. */
const EVERYTHING = [
  ["--set", "replicas=2,image.digest=sha256:0123,databaseImage=registry.example/tsdb:1,priorityClassName=high"],
  ["--set", "installation=mine,commonLabels.team=a,podLabels.pod=b,podAnnotations.note=c,nodeSelector.pool=d"],
  ["--set", "serviceAccount.annotations.role=e,extraArgs={--state-interval=5s}"],
  ["--set-json", 'tolerations=[{"key":"f","operator":"Exists"}]'],
  ["--set-json", 'imagePullSecrets=[{"name":"g"}]'],
  ["--set-json", 'extraEnv=[{"name":"H","value":"i"}]'],
  ["--set-json", 'affinity={"nodeAffinity":{}}'],
  ["--set-json", 'topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]'],
].flat();

describe("a real API server takes, every field of it known,", () => {
  const dryRun = ({ workspace, kubeconfig }: TestCluster, text: string): string => {
    const file = workspace.write("objects.yaml", text);
    // An unknown field, or one that is there twice, is an error and no warning.
    return kubectl(kubeconfig, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", file);
  };

  test("deploy/install.yaml", ({ cluster }) => {
    // In a dry run a namespace is never there for what is in it.
    const elsewhere = install.replaceAll("namespace: tsdb-system", `namespace: ${cluster.namespace}`);
    const count = objectsOf(install).length;
    expect(dryRun(cluster, elsewhere).match(/serverside-applied \(server dry run\)/g)).toHaveLength(count);
  });

  test("the chart with every value set", ({ cluster }) => {
    const text = helm("template", "op", CHART, "--namespace", cluster.namespace, ...EVERYTHING);
    const count = objectsOf(text).length;
    expect(dryRun(cluster, text).match(/serverside-applied \(server dry run\)/g)).toHaveLength(count);
  });
});

const idOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.name}`;

const HELMS_OWN = /^(helm\.sh\/|app\.kubernetes\.io\/(instance|version|managed-by)$)/;

/** Without what says which release an object is of. */
const withoutHelm = (object: KubeObject): unknown =>
  JSON.parse(
    JSON.stringify(object, (key, value: unknown) => {
      if (HELMS_OWN.test(key)) return undefined;
      if (key !== "annotations") return value;
      return Object.keys(value as object).every((name) => HELMS_OWN.test(name)) ? undefined : value;
    }),
  ) as unknown;
