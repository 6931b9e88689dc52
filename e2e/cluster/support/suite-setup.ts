/** Before the first test: a control plane for all of them, unless KUBECONFIG names a cluster; and our CRD in either. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { Workspace } from "../../support/workspace.ts";
import { customResourceDefinition } from "../../../src/operator/api/crd.ts";
import { Api, condition, referenceTo } from "./api.ts";
import type { KubeObject } from "./api.ts";
import { ControlPlane } from "./control-plane.ts";
import { buildPrograms, CONTROL_PLANE } from "./programs.ts";
import type { Suite } from "./suite.ts";

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const workspace = new Workspace("suite");
  const folder = workspace.path("suite");
  mkdirSync(join(folder, "audit"), { recursive: true });
  try {
    const suite = await clusterFor(workspace, folder);
    await installCrd(suite.kubeconfig);
    project.provide("suite", suite);
  } catch (thrown) {
    await workspace.close({ failed: true });
    throw thrown;
  }
  return () => workspace.close({ failed: false });
}

async function clusterFor(workspace: Workspace, folder: string): Promise<Suite> {
  const given = process.env["KUBECONFIG"];
  if (given !== undefined && given !== "") return { kubeconfig: given, folder };
  await buildPrograms(CONTROL_PLANE);
  const plane = await ControlPlane.start(workspace);
  const { kubeconfig, auditLog } = plane;
  return { kubeconfig, folder, own: { upstream: plane.upstream, auditLog } };
}

/** As a user does who installs the operator. */
export async function installCrd(kubeconfig: string): Promise<void> {
  const api = await Api.fromKubeconfig(kubeconfig);
  try {
    const crd = customResourceDefinition() as KubeObject;
    await api.apply(crd);
    const isEstablished = (object: KubeObject) => condition(object, "Established")?.["status"] === "True";
    await api.waitFor(referenceTo(crd), "to be established", isEstablished);
  } finally {
    api.close();
  }
}
