/**
 * The operator as it runs in a cluster: its real command line in a process of its own, with the rights of our rules and no
 * others, as a ServiceAccount of the test's namespace, watching that namespace alone.
 */
import { fileURLToPath } from "node:url";
import { databaseRules, leaseRules } from "../../../src/operator/rbac.ts";
import { freePort } from "../../support/ports.ts";
import { isOk } from "../../support/http.ts";
import type { Program } from "../../support/program.ts";
import type { Workspace } from "../../support/workspace.ts";
import type { Api, KubeObject } from "./api.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** The Node that the package brings along, whatever runs the test: no hand-over, so the process id is the operator's. */
const node = `${root}node_modules/.bin/node`;

/** Also how the audit log names it: `system:serviceaccount:NAMESPACE:tsdb-operator`. */
export const SERVICE_ACCOUNT = "tsdb-operator";

/** Of databases that say no image; nothing is pulled where no kubelet is. */
export const DEFAULT_IMAGE = "tsdb.dev/tsdb:e2e";

/** Where it is to run: a test's namespace of a cluster. */
export interface OperatorPlace {
  readonly workspace: Workspace;
  readonly api: Api;
  readonly namespace: string;
  serviceAccountKubeconfig(name: string, options: { readonly isDirect: boolean }): Promise<string>;
}

export interface OperatorOptions {
  /** The program, where it is to be another than that of the checkout. */
  readonly main?: string;
  /** In logs; several of one test differ in it. */
  readonly name?: string;
  /** Further flags of `tsdb-operator run`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Everything, instead of the test's namespace. */
  readonly isClusterWide?: boolean;
  /** Past the fault proxy. */
  readonly isDirect?: boolean;
  /** Returns once the process runs, whether or not it serves. */
  readonly isAwaited?: boolean;
}

export interface Operator {
  readonly program: Program;
  /** Of /metrics, /healthz and /readyz. */
  readonly url: string;
  /** The value of a metric summed over its labels that match; 0 when there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

export async function startOperator(place: OperatorPlace, options: OperatorOptions = {}): Promise<Operator> {
  const { main = `${root}bin/tsdb-operator.mjs`, name = "operator", flags = [], env } = options;
  const { isClusterWide = false, isDirect = false, isAwaited = true } = options;
  await grantRights(place, isClusterWide);
  const kubeconfig = await place.serviceAccountKubeconfig(SERVICE_ACCOUNT, { isDirect });
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const program = place.workspace.start({
    name,
    command: node,
    args: [
      // As its first line has it.
      "--optimize-for-size",
      main,
      "run",
      `--kubeconfig=${kubeconfig}`,
      `--lease-namespace=${place.namespace}`,
      `--default-image=${DEFAULT_IMAGE}`,
      `--metrics-listen=${address}`,
      // No test is to wait for what is asked every 15 s; the last of two flags counts.
      "--state-interval=1s",
      ...(isClusterWide ? [] : [`--namespaces=${place.namespace}`]),
      ...flags,
    ],
    ...(env === undefined ? {} : { env }),
  });
  if (isAwaited)
    await program.whileRunning("readiness", async () => ((await isOk(`${url}/readyz`)) ? true : undefined), 180_000);
  return { program, url, metric: (metric, labels = {}) => metricOf(url, metric, labels) };
}

/** As install.yaml does it, for one namespace or for all. */
export async function grantRights({ api, namespace }: OperatorPlace, isClusterWide = false): Promise<void> {
  const metadata = { name: SERVICE_ACCOUNT, namespace };
  const rbac = "rbac.authorization.k8s.io";
  const bound = (kind: "Role" | "ClusterRole", name: string, rules: readonly object[]): readonly KubeObject[] => {
    const place = kind === "Role" ? { name, namespace } : { name: `${name}-${namespace}` };
    const subject = { kind: "ServiceAccount", name: SERVICE_ACCOUNT, namespace };
    const roleRef = { apiGroup: rbac, kind, name: place.name };
    return [
      { apiVersion: `${rbac}/v1`, kind, metadata: place, rules },
      { apiVersion: `${rbac}/v1`, kind: `${kind}Binding`, metadata: place, roleRef, subjects: [subject] },
    ];
  };
  await api.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  for (const object of bound(isClusterWide ? "ClusterRole" : "Role", `${SERVICE_ACCOUNT}-databases`, databaseRules))
    await api.apply(object);
  for (const object of bound("Role", `${SERVICE_ACCOUNT}-lease`, leaseRules)) await api.apply(object);
}

async function metricOf(url: string, name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n")) {
    const [, found, labelText = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const isMatch = Object.entries(labels).every(([label, wanted]) => labelText.includes(`${label}="${wanted}"`));
    if (found === name && isMatch) sum += Number(value);
  }
  return sum;
}

/** A TimeSeriesDB as small as it may be, and what a test adds to its spec. */
export const database = (name: string, spec: object = {}): KubeObject => ({
  apiVersion: "tsdb.dev/v1",
  kind: "TimeSeriesDB",
  metadata: { name },
  spec: { storage: { size: "1Gi" }, ...spec },
});
