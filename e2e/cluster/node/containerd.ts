/**
 * A containerd of the cluster's own: root, state and socket in the cluster's folder, pods' networks by the CNI plugins. It is
 * the first process of a process namespace: with it the kernel ends all that it started, shims and containers.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../../support/program.ts";
import { until } from "../../support/until.ts";
import type { Workspace } from "../../support/workspace.ts";
import { on } from "../support/control-plane.ts";
import type { Machine } from "./machine.ts";

export const PAUSE_IMAGE = "tsdb.dev/e2e/pause:1";

/** Where Debian's containernetworking-plugins are. */
const CNI_PLUGINS = "/usr/lib/cni";

export class Containerd {
  readonly socket: string;
  readonly program: Program;

  private constructor(socket: string, program: Program) {
    this.socket = socket;
    this.program = program;
  }

  static async start(workspace: Workspace, machine: Machine): Promise<Containerd> {
    const folder = workspace.path("containerd");
    const cni = join(folder, "cni");
    mkdirSync(cni, { recursive: true });
    writeFileSync(join(cni, "10-pods.conflist"), JSON.stringify(cniConfig(machine, join(folder, "addresses"))));
    const socket = join(folder, "containerd.sock");
    writeFileSync(join(folder, "config.toml"), config(folder, socket, cni));
    const namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--propagation", "slave"];
    const command = ["containerd", "--config", join(folder, "config.toml")];
    const program = workspace.start({ name: "containerd", ...on(machine, "unshare", [...namespaces, ...command]) });
    const containerd = new Containerd(socket, program);
    await program.whileRunning("containerd", () =>
      existsSync(socket) && ctr(socket, "version").status === 0 ? true : undefined,
    );
    return containerd;
  }

  /** Loads a docker-archive or OCI archive, for pods to use without pulling. */
  import(archive: string): void {
    loadImage(this.socket, archive);
  }

  /** Ends it and what runs in containers, as a machine does that is switched off. */
  async stop(): Promise<void> {
    if (!this.program.isRunning) return;
    const { pid } = this.program;
    const first = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
    await this.program.stop("SIGKILL");
    // The kernel takes it away after everything else of the namespace.
    await until("the containers to end", () => (existsSync(`/proc/${first}`) ? undefined : true));
  }
}

/** As `Containerd.import`, into one that another process started. @returns what it said */
export function loadImage(socket: string, archive: string): string {
  const { status, stdout, stderr } = ctr(socket, "images", "import", archive);
  if (status !== 0) throw new Error(`import of ${archive}: ${stderr}`);
  return stdout;
}

const ctr = (socket: string, ...args: readonly string[]) =>
  spawnSync("ctr", ["--address", socket, "--namespace", "k8s.io", ...args], { encoding: "utf8" });

// AppArmor and lowering of oom_score_adj ask for rights that containers, in which this may itself run, lack.
const config = (folder: string, socket: string, cni: string): string => `
version = 2
root = "${join(folder, "root")}"
state = "${join(folder, "state")}"
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(folder, "opt")}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${CNI_PLUGINS}"
    conf_dir = "${cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "${join(folder, "runc")}"
`;

// Through a bridge a pod would not reach itself by its Service's address.
const cniConfig = ({ podRange }: Machine, dataDir: string) => ({
  cniVersion: "0.4.0",
  name: "pods",
  plugins: [
    {
      type: "ptp",
      ipMasq: false,
      ipam: { type: "host-local", dataDir, ranges: [[{ subnet: podRange }]], routes: [{ dst: "0.0.0.0/0" }] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
});
