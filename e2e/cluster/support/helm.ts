/** Helm and kubectl, as users call them, with nothing of the tester's own settings. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "./api.ts";
import { clusterProgram } from "./programs.ts";
import { run } from "./run.ts";

export const CHART = "charts/tsdb-operator";

const home = mkdtempSync(join(tmpdir(), "tsdb-helm-"));
process.on("exit", () => rmSync(home, { recursive: true, force: true }));
const env = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };

export const helm = (...args: readonly string[]): string => run(clusterProgram("helm"), args, { env });

/** Objects of the chart, as `helm template` makes them. */
export const rendered = (release: string, namespace: string, ...flags: readonly string[]): readonly KubeObject[] =>
  objectsOf(helm("template", release, CHART, "--namespace", namespace, ...flags));

export const objectsOf = (text: string): readonly KubeObject[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() as KubeObject | null) ?? []);

export const kubectl = (kubeconfig: string, ...args: readonly string[]): string =>
  run(clusterProgram("kubectl"), ["--kubeconfig", kubeconfig, "--cache-dir", join(home, "kube"), ...args]);
