/**
 * A real control plane: etcd, kube-apiserver and kube-controller-manager. Objects, admission, defaulting, garbage
 * collection, StatefulSets and quotas are the real thing; pods are made but nothing runs them (node/ does).
 *
 * It needs no root: everything listens on loopback, and the kubeconfigs carry tokens. On a machine of node/ it listens on
 * that machine's address instead, where kubelet and pods reach it.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { freePort } from "../../support/ports.ts";
import type { Exit, Program } from "../../support/program.ts";
import type { Workspace } from "../../support/workspace.ts";
import type { Upstream } from "../proxy/fault-proxy.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { clusterProgram } from "./programs.ts";
import type { ClusterProgram } from "./programs.ts";

/** Who may speak to it, by static tokens: name and groups as RBAC's default roles know them. */
const USERS = {
  admin: { name: "admin", groups: ["system:masters"] },
  controllerManager: { name: "system:kube-controller-manager", groups: [] },
  scheduler: { name: "system:kube-scheduler", groups: [] },
  proxy: { name: "system:kube-proxy", groups: [] },
  node: { name: "system:node:node-1", groups: ["system:nodes"] },
} as const;

export type ClusterUser = keyof typeof USERS;

export const SERVICE_RANGE = "10.96.0.0/16";

/** Where the programs run, when not on the machine's own loopback. */
export interface Network {
  /** A process whose namespaces of network and mounts they share. */
  readonly pid: number;
  /** The address inside that everything speaks to. */
  readonly address: string;
}

export interface ControlPlaneOptions {
  /** Folder in the workspace. */
  readonly name?: string;
  readonly network?: Network;
  /** Further flags of kube-apiserver. */
  readonly apiServerFlags?: readonly string[];
  /** Further flags of kube-controller-manager. */
  readonly controllerFlags?: readonly string[];
}

/** Three seconds on an idle machine, which a machine of tests is not. */
const START_MS_MAX = 240_000;

/** Pods' addresses are given out by the node itself (node/). */
const WITH_PODS = "*,-node-ipam-controller";
/** Simulated pods have loopback addresses, which no endpoint may have. */
const WITHOUT_PODS = `${WITH_PODS},-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller`;

/** Every request and its answer, without bodies; what others read is of no interest to any test. */
const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived", "ResponseStarted"],
  rules: [
    { level: "None", nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi*"] },
    {
      level: "None",
      users: [USERS.node.name, USERS.proxy.name, USERS.scheduler.name],
      verbs: ["get", "list", "watch"],
    },
    { level: "None", users: [USERS.controllerManager.name, "system:apiserver"], verbs: ["get", "list", "watch"] },
    { level: "Metadata" },
  ],
};

export class ControlPlane {
  /** https://ADDRESS:PORT of the API server. */
  readonly url: string;
  /** Certificates, tokens, data and kubeconfigs. */
  readonly folder: string;
  /** Of the administrator. */
  readonly kubeconfig: string;
  /** One JSON object a line; see audit.ts. */
  readonly auditLog: string;
  readonly #workspace: Workspace;
  readonly #name: string;
  readonly #options: ControlPlaneOptions;
  readonly #tokens: Readonly<Record<ClusterUser, string>>;
  readonly #address: string;
  readonly #port: number;
  readonly #etcdUrls: { readonly url: string; readonly peerUrl: string };
  #etcd: Program | undefined;
  #apiServer: Program | undefined;
  #controllerManager: Program | undefined;

  private constructor(workspace: Workspace, options: ControlPlaneOptions, ports: readonly [number, number, number]) {
    this.#workspace = workspace;
    this.#options = options;
    this.#name = options.name ?? "control-plane";
    this.#address = options.network?.address ?? "127.0.0.1";
    this.#port = ports[0];
    this.url = `https://${this.#address}:${this.#port}`;
    this.#etcdUrls = { url: `http://127.0.0.1:${ports[1]}`, peerUrl: `http://127.0.0.1:${ports[2]}` };
    this.folder = workspace.path(this.#name);
    mkdirSync(join(this.folder, "audit"), { recursive: true });
    this.kubeconfig = join(this.folder, "admin.kubeconfig");
    this.auditLog = join(this.folder, "audit", "audit.log");
    const token = () => randomBytes(16).toString("hex");
    this.#tokens = { admin: token(), controllerManager: token(), scheduler: token(), proxy: token(), node: token() };
  }

  /** Ready when it returns: some three seconds. */
  static async start(workspace: Workspace, options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const plane = new ControlPlane(workspace, options, [await freePort(), await freePort(), await freePort()]);
    plane.#writeFiles();
    plane.#startEtcd();
    await plane.startApiServer();
    plane.kubeconfigOf("admin");
    await plane.#startControllerManager();
    return plane;
  }

  /** The process of the API server that runs, for signals: SIGSTOP freezes it. */
  get apiServer(): Program {
    if (this.#apiServer === undefined) throw new Error("the API server was not started");
    return this.#apiServer;
  }

  /** The certificate that clients trust, as PEM. */
  get ca(): string {
    return readFileSync(join(this.folder, "certificates", "apiserver.crt"), "utf8");
  }

  /** What a fault proxy needs to stand in for the API server. */
  get upstream(): Upstream {
    const key = readFileSync(join(this.folder, "certificates", "apiserver.key"), "utf8");
    return { url: this.url, ca: this.ca, serving: { cert: this.ca, key } };
  }

  /** The path of a user's kubeconfig, written anew. */
  kubeconfigOf(user: ClusterUser): string {
    const token = this.#tokens[user];
    return writeKubeconfig(join(this.folder, `${user}.kubeconfig`), { url: this.url, ca: this.ca, token });
  }

  /** Starts the API server (again, after `stopApiServer`) on the same port and data, and waits until it is ready. */
  async startApiServer(): Promise<void> {
    const file = (name: string) => join(this.folder, name);
    this.#apiServer = this.#run("kube-apiserver", [
      `--etcd-servers=${this.#etcdUrls.url}`,
      `--etcd-prefix=/${this.#name}`,
      `--bind-address=${this.#address}`,
      `--advertise-address=${this.#address}`,
      `--secure-port=${this.#port}`,
      `--cert-dir=${file("certificates")}`,
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${file("service-accounts.pub")}`,
      `--service-account-signing-key-file=${file("service-accounts.key")}`,
      `--token-auth-file=${file("tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--kubelet-preferred-address-types=InternalIP",
      "--allow-privileged=true",
      "--profiling=false",
      // Loopback may not be an endpoint of the Service "kubernetes"; without pods nobody looks for it.
      `--endpoint-reconciler-type=${this.#options.network === undefined ? "none" : "lease"}`,
      `--audit-policy-file=${file("audit-policy.json")}`,
      `--audit-log-path=${this.auditLog}`,
      // One file, never rotated: a test reads it whole.
      "--audit-log-maxsize=4096",
      ...(this.#options.apiServerFlags ?? []),
    ]);
    const isThere = async () =>
      existsSync(join(this.folder, "certificates", "apiserver.key")) && (await this.#isReady()) ? true : undefined;
    await this.#apiServer.whileRunning("the API server", isThere, START_MS_MAX);
  }

  /** SIGTERM lets requests finish and ends watches; SIGKILL is a crash. */
  async stopApiServer(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    return this.apiServer.stop(signal);
  }

  /** Ends all of it; its files stay. */
  async stop(): Promise<void> {
    for (const program of [this.#controllerManager, this.#apiServer, this.#etcd])
      await program?.stop("SIGTERM", 10_000);
  }

  #writeFiles(): void {
    const write = (name: string, text: string) => writeFileSync(join(this.folder, name), text, { mode: 0o600 });
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    write("service-accounts.pub", publicKey.export({ type: "spki", format: "pem" }));
    write("service-accounts.key", privateKey.export({ type: "pkcs1", format: "pem" }));
    write("audit-policy.json", JSON.stringify(AUDIT_POLICY));
    const line = ([user, { name, groups }]: [string, { name: string; groups: readonly string[] }]) =>
      [this.#tokens[user as ClusterUser], name, name, ...(groups.length > 0 ? [`"${groups.join(",")}"`] : [])].join(
        ",",
      );
    write("tokens.csv", `${Object.entries(USERS).map(line).join("\n")}\n`);
  }

  #startEtcd(): void {
    const { url, peerUrl } = this.#etcdUrls;
    const etcd = this.#run("etcd", [
      `--data-dir=${join(this.folder, "etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // What it holds need not outlive the machine.
      "--unsafe-no-fsync",
      "--log-level=warn",
    ]);
    this.#etcd = etcd;
  }

  async #startControllerManager(): Promise<void> {
    const port = await freePort();
    const manager = this.#run("kube-controller-manager", [
      `--kubeconfig=${this.kubeconfigOf("controllerManager")}`,
      `--bind-address=${this.#address}`,
      `--secure-port=${port}`,
      `--root-ca-file=${join(this.folder, "certificates", "apiserver.crt")}`,
      `--service-account-private-key-file=${join(this.folder, "service-accounts.key")}`,
      "--use-service-account-credentials",
      "--leader-elect=false",
      `--controllers=${this.#options.network === undefined ? WITHOUT_PODS : WITH_PODS}`,
      "--allocate-node-cidrs=false",
      "--profiling=false",
      // Its own limit of 20 requests a second would have a thousand pods wait for minutes.
      "--kube-api-qps=1000",
      "--kube-api-burst=2000",
      ...(this.#options.controllerFlags ?? []),
    ]);
    this.#controllerManager = manager;
    await manager.whileRunning(
      "the controller manager",
      async () => {
        const answer = await answerOf(`https://${this.#address}:${port}/healthz`, { rejectUnauthorized: false });
        return answer === 200 ? true : undefined;
      },
      START_MS_MAX,
    );
  }

  async #isReady(): Promise<boolean> {
    const headers = { authorization: `Bearer ${this.#tokens.admin}` };
    return (await answerOf(`${this.url}/readyz`, { ca: this.ca, headers })) === 200;
  }

  #run(program: ClusterProgram, args: readonly string[]): Program {
    const { network } = this.#options;
    const name = `${this.#name}-${program}`;
    return this.#workspace.start({ name, ...on(network, clusterProgram(program), args) });
  }
}

/** What is to be called so that a program runs there. `ip netns exec` would remount /sys and hide the cgroups. */
export const on = (network: Network | undefined, command: string, args: readonly string[]) =>
  network === undefined
    ? { command, args }
    : { command: "nsenter", args: [`--target=${network.pid}`, "--net", "--mount", command, ...args] };

/** Status of a GET; undefined while nobody answers. */
const answerOf = (url: string, options: object): Promise<number | undefined> =>
  new Promise((resolve) => {
    const asked = request(url, { timeout: 2_000, agent: false, ...options }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
