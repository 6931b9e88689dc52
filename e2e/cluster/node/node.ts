/**
 * A whole Kubernetes of one node, all of it real: the control plane, scheduler, kubelet, kube-proxy, CoreDNS, containerd
 * with runc, and a CSI driver whose volumes have a real size, with the provisioner and resizer that clouds use. Pods run in
 * containers, are probed, find each other by name and reach each other through Services.
 *
 * Needs Linux, root and Debian's packages containerd, runc, containernetworking-plugins, nftables, iproute2, conntrack,
 * ethtool, socat, xfsprogs. Nothing here enforces NetworkPolicies.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import type { Program } from "../../support/program.ts";
import type { Workspace } from "../../support/workspace.ts";
import { DRIVER_NAME } from "../csi/names.ts";
import { Api, condition } from "../support/api.ts";
import { ControlPlane, on } from "../support/control-plane.ts";
import type { ControlPlaneOptions } from "../support/control-plane.ts";
import { buildPrograms, clusterProgram, CONTROL_PLANE, NODE } from "../support/programs.ts";
import type { ClusterProgram } from "../support/programs.ts";
import { Containerd, PAUSE_IMAGE } from "./containerd.ts";
import { makeImage } from "./images.ts";
import { Machine } from "./machine.ts";

const NODE_NAME = "node-1";
const STORAGE_CLASS = "loop";
/** Where the kubelet finds each program, and the Debian package that has it. */
const NEEDED = {
  containerd: "containerd",
  runc: "runc",
  nft: "nftables",
  ip: "iproute2",
  conntrack: "conntrack",
  ethtool: "ethtool",
  socat: "socat",
  "mkfs.xfs": "xfsprogs",
} as const;

/** Why a node cannot run here; undefined when it can. */
export function nodeObstacle(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "a node needs Linux and root";
  const missing = Object.entries(NEEDED).filter(([program]) => spawnSync("which", [program]).status !== 0);
  if (missing.length === 0) return undefined;
  return `a node needs ${missing.map(([, debian]) => debian).join(", ")}: apt-get install them`;
}

export class ClusterWithNode {
  readonly plane: ControlPlane;
  readonly machine: Machine;
  readonly containerd: Containerd;
  readonly #workspace: Workspace;
  readonly #folder: string;
  #kubelet: Program | undefined;
  #others: Program[] = [];

  private constructor(workspace: Workspace, plane: ControlPlane, machine: Machine, containerd: Containerd) {
    this.#workspace = workspace;
    this.plane = plane;
    this.machine = machine;
    this.containerd = containerd;
    // Sockets in it are named by pods' uids and more: their paths must stay below 108 bytes.
    this.#folder = mkdtempSync(join(tmpdir(), "kubelet-"));
  }

  /** Ready when it returns: node Ready, names resolved, volumes made. Half a minute. */
  static async start(
    workspace: Workspace,
    options: Omit<ControlPlaneOptions, "network"> = {},
  ): Promise<ClusterWithNode> {
    const obstacle = nodeObstacle();
    if (obstacle !== undefined) throw new Error(obstacle);
    await buildPrograms([...CONTROL_PLANE, ...NODE, "pause"]);
    const machine = await Machine.start(workspace);
    let plane: ControlPlane;
    let containerd: Containerd;
    try {
      plane = await ControlPlane.start(workspace, { ...options, network: machine });
      containerd = await Containerd.start(workspace, machine);
    } catch (thrown) {
      await machine.remove();
      throw thrown;
    }
    const cluster = new ClusterWithNode(workspace, plane, machine, containerd);
    try {
      await cluster.#startAll();
      return cluster;
    } catch (thrown) {
      await cluster.stop();
      throw thrown;
    }
  }

  get kubelet(): Program {
    if (this.#kubelet === undefined) throw new Error("the kubelet was not started");
    return this.#kubelet;
  }

  async #startAll(): Promise<void> {
    const pause = { "bin/pause": clusterProgram("pause") };
    this.load(makeImage(this.#folder, { name: PAUSE_IMAGE, files: pause, entrypoint: ["/bin/pause"] }));
    const api = await Api.fromKubeconfig(this.plane.kubeconfig);
    try {
      this.#startCoreDns();
      this.#startProxy();
      this.#start("kube-scheduler", [
        "--kubeconfig",
        this.plane.kubeconfigOf("scheduler"),
        "--leader-elect=false",
        `--bind-address=${this.machine.address}`,
        "--secure-port=10259",
        "--profiling=false",
      ]);
      this.startKubelet();
      await this.#startCsi(api);
      const node = { apiVersion: "v1", kind: "Node", name: NODE_NAME };
      const isReady = (object: object) => condition(object, "Ready")?.["status"] === "True";
      await api.waitFor(node, "to be ready", isReady, { timeoutMs: 120_000 });
    } finally {
      api.close();
    }
  }

  /** Makes an image known to the node: a docker-archive or OCI archive. */
  load(archive: string): void {
    this.containerd.import(archive);
  }

  /** Starts the kubelet (again, after it was stopped): pods go on running meanwhile. */
  startKubelet(): void {
    const config = join(this.#folder, "kubelet.yaml");
    mkdirSync(join(this.#folder, "manifests"), { recursive: true });
    const resolvConf = join(this.#folder, "resolv.conf");
    writeFileSync(resolvConf, `nameserver ${this.machine.address}\n`);
    writeFileSync(config, stringify(this.#kubeletConfig(resolvConf)));
    this.#kubelet = this.#start("kubelet", [
      "--config",
      config,
      "--kubeconfig",
      this.plane.kubeconfigOf("node"),
      "--root-dir",
      this.#folder,
      "--hostname-override",
      NODE_NAME,
      "--node-ip",
      this.machine.address,
      "--cert-dir",
      join(this.#folder, "certificates"),
      "--v=1",
    ]);
  }

  /** Ends all that runs; nothing of it stays on the machine. The workspace stays its owner's. */
  async stop(): Promise<void> {
    for (const program of [this.#kubelet, ...this.#others.toReversed()]) await program?.stop("SIGTERM", 10_000);
    await this.containerd.stop();
    await this.plane.stop();
    await this.machine.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #kubeletConfig(resolvConf: string): object {
    return {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      // Whoever is in the namespace may ask it: the API server for logs, and nobody else is there.
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      address: this.machine.address,
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${this.machine.cgroup}`,
      failCgroupV1: false,
      failSwapOn: false,
      evictionHard: {},
      enforceNodeAllocatable: [],
      makeIPTablesUtilChains: false,
      clusterDNS: [this.machine.address],
      clusterDomain: "cluster.local",
      containerRuntimeEndpoint: `unix://${this.containerd.socket}`,
      resolvConf,
      podLogsDir: join(this.#folder, "logs"),
      volumePluginDir: join(this.#folder, "volume-plugins"),
      imageGCHighThresholdPercent: 100,
    };
  }

  #startProxy(): void {
    const config = this.#workspace.write(
      "kube-proxy.yaml",
      stringify({
        apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        clientConnection: { kubeconfig: this.plane.kubeconfigOf("proxy") },
        mode: "nftables",
        clusterCIDR: this.machine.podRange,
        hostnameOverride: NODE_NAME,
        bindAddress: this.machine.address,
        // The kernel's own limits are the machine's, and not for us to change.
        conntrack: { maxPerCore: 0 },
      }),
    );
    this.#start("kube-proxy", ["--config", config]);
  }

  #startCoreDns(): void {
    const corefile = this.#workspace.write(
      "Corefile",
      `.:53 {
  bind ${this.machine.address}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${this.plane.kubeconfig}
  }
}
`,
    );
    this.#start("coredns", ["-conf", corefile]);
  }

  async #startCsi(api: Api): Promise<void> {
    const socket = join(this.#folder, "csi.sock");
    mkdirSync(join(this.#folder, "plugins_registry"), { recursive: true });
    const args = [
      fileURLToPath(new URL("../csi/main.ts", import.meta.url)),
      socket,
      join(this.#folder, "plugins_registry", `${DRIVER_NAME}-reg.sock`),
      this.#workspace.path("volumes"),
      NODE_NAME,
    ];
    const driver = this.#workspace.start({ name: "csi-driver", ...on(this.machine, process.execPath, args) });
    this.#others.push(driver);
    await driver.whileRunning("the CSI driver", () => (driver.log().includes("serving") ? true : undefined));
    const client = [`--csi-address=${socket}`, `--kubeconfig=${this.plane.kubeconfig}`];
    this.#start("csi-provisioner", client);
    this.#start("csi-resizer", client);
    await api.apply({
      apiVersion: "storage.k8s.io/v1",
      kind: "CSIDriver",
      metadata: { name: DRIVER_NAME },
      spec: { attachRequired: false, fsGroupPolicy: "File" },
    });
    await api.apply({
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: STORAGE_CLASS, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: DRIVER_NAME,
      allowVolumeExpansion: true,
      volumeBindingMode: "Immediate",
    });
  }

  #start(program: ClusterProgram, args: readonly string[]): Program {
    const started = this.#workspace.start({ name: program, ...on(this.machine, clusterProgram(program), args) });
    if (program !== "kubelet") this.#others.push(started);
    return started;
  }
}
