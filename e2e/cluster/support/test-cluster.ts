/**
 * What a test is given: a namespace of its own on the cluster of the run, a fault proxy before its API server, and the
 * operator as a real process behind that, with the rights of our Role and no others.
 *
 *   test("...", async ({ cluster }) => {
 *     const operator = await cluster.startOperator();
 *     await cluster.apply(database("metrics"));
 *     cluster.proxy.inject({ resource: "statefulsets", verb: "watch" }, { kind: "status", code: 410 });
 *     ...
 *   });
 *
 * Everything ends with the test; after a failure the folder with the logs stays and is named.
 */
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { test as base } from "vitest";
import { Workspace } from "../../support/workspace.ts";
import { FaultProxy } from "../proxy/fault-proxy.ts";
import type { Upstream } from "../proxy/fault-proxy.ts";
import { Api } from "./api.ts";
import type { KubeObject } from "./api.ts";
import { ControlPlane } from "./control-plane.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { startOperator } from "./operator.ts";
import type { Operator, OperatorOptions } from "./operator.ts";
import { installCrd } from "./suite-setup.ts";
import { suite } from "./suite.ts";

export class TestCluster {
  readonly workspace: Workspace;
  /** As an administrator, past the proxy. */
  readonly api: Api;
  readonly namespace: string;
  /** Of the administrator, past the proxy. */
  readonly kubeconfig: string;
  readonly proxy: FaultProxy;
  /** Only of a cluster that this test has to itself. */
  readonly plane: ControlPlane | undefined;
  readonly #upstream: Upstream;

  private constructor(
    workspace: Workspace,
    { api, namespace, kubeconfig }: { api: Api; namespace: string; kubeconfig: string },
    proxy: FaultProxy,
    upstream: Upstream,
    plane?: ControlPlane,
  ) {
    this.workspace = workspace;
    this.api = api;
    this.namespace = namespace;
    this.kubeconfig = kubeconfig;
    this.proxy = proxy;
    this.#upstream = upstream;
    this.plane = plane;
  }

  /** On the cluster that all tests share. */
  static async shared(): Promise<TestCluster> {
    const { kubeconfig, own } = suite();
    const workspace = new Workspace("cluster");
    const upstream = own?.upstream ?? { ...clusterOf(kubeconfig), serving: selfSigned(workspace) };
    return TestCluster.#open(workspace, kubeconfig, upstream);
  }

  /** On a control plane of its own, whose API server it may stop, freeze and kill. */
  static async alone(options: ControlPlaneOptions = {}): Promise<TestCluster> {
    const workspace = new Workspace("cluster");
    const plane = await ControlPlane.start(workspace, options);
    await installCrd(plane.kubeconfig);
    return TestCluster.#open(workspace, plane.kubeconfig, plane.upstream, plane);
  }

  static async #open(workspace: Workspace, kubeconfig: string, upstream: Upstream, plane?: ControlPlane) {
    const api = await Api.fromKubeconfig(kubeconfig);
    const made = await api.create({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { generateName: "e2e-" } as unknown as KubeObject["metadata"],
    });
    const proxy = await FaultProxy.start(upstream);
    return new TestCluster(workspace, { api, namespace: made.metadata.name, kubeconfig }, proxy, upstream, plane);
  }

  /** Applies an object in the test's namespace. */
  async apply(object: KubeObject): Promise<KubeObject> {
    return this.api.apply({ ...object, metadata: { namespace: this.namespace, ...object.metadata } });
  }

  /** A kubeconfig with which a program has the rights of a ServiceAccount of the namespace, and no others. */
  async serviceAccountKubeconfig(name: string, { isDirect = false } = {}): Promise<string> {
    const { namespace } = this;
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status } = await this.api.call("POST", path, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 4 * 3600 },
    });
    const { token } = status as { readonly token: string };
    const file = this.workspace.path(`${name}${isDirect ? "-direct" : ""}.kubeconfig`);
    const { url, ca, serving } = this.#upstream;
    const to = isDirect ? { url, ca } : { url: this.proxy.url, ca: serving.cert };
    return writeKubeconfig(file, { ...to, token, namespace });
  }

  /** The operator, behind the proxy unless `options` say otherwise, ready when this returns. */
  startOperator(options: OperatorOptions = {}): Promise<Operator> {
    return startOperator(this, options);
  }

  async close({ failed }: { readonly failed: boolean }): Promise<void> {
    await this.proxy.close();
    if (this.plane === undefined) await this.#removeNamespace();
    else keepAuditLog(this.plane);
    this.api.close();
    await this.workspace.close({ failed });
  }

  async #removeNamespace(): Promise<void> {
    // Without a kubelet nobody confirms that a pod has ended, and its namespace would stay for ever.
    await this.api.call("DELETE", `/api/v1/namespaces/${this.namespace}/pods?gracePeriodSeconds=0`);
    await this.api.delete({ apiVersion: "v1", kind: "Namespace", name: this.namespace });
  }
}

/** For audit.test.ts, which looks at what all tests did. */
export function keepAuditLog({ auditLog }: ControlPlane): void {
  copyFileSync(auditLog, join(suite().folder, "audit", `${randomUUID()}.log`));
}

/** Where a kubeconfig leads. */
function clusterOf(kubeconfig: string): { readonly url: string; readonly ca: string } {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const { server, caData, caFile } = config.getCurrentCluster() ?? {};
  if (server === undefined) throw new Error(`${kubeconfig} names no cluster`);
  const ca = caData === undefined ? caFile && readFileSync(caFile, "utf8") : Buffer.from(caData, "base64").toString();
  if (ca === undefined) throw new Error(`${kubeconfig} says no certificate to trust`);
  return { url: server, ca };
}

/** A certificate of the proxy's own, where we do not have the API server's. */
function selfSigned(workspace: Workspace): Upstream["serving"] {
  const [cert, key] = [workspace.path("proxy.crt"), workspace.path("proxy.key")];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=fault-proxy"];
  const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [...request, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

interface Fixtures {
  /** On the cluster that all tests share. */
  readonly cluster: TestCluster;
  /** On a control plane that the test has to itself. */
  readonly ownCluster: TestCluster;
}

type Use = (cluster: TestCluster) => Promise<void>;

async function during(opening: Promise<TestCluster>, task: { readonly result?: { readonly state: string } }, use: Use) {
  const cluster = await opening;
  try {
    await use(cluster);
  } finally {
    await cluster.close({ failed: task.result?.state === "fail" });
  }
}

export const test = base.extend<Fixtures>({
  cluster: async ({ task }, use) => during(TestCluster.shared(), task, use),
  ownCluster: async ({ task }, use) => during(TestCluster.alone(), task, use),
});
