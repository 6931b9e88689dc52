/** A containerd of the cluster's own: root, state and socket in the cluster's folder, pods' networks by the CNI plugins. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../../support/program.ts";
import type { Workspace } from "../../support/workspace.ts";
import { enter } from "../support/control-plane.ts";
import type { ClusterNetwork } from "./network.ts";

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

  static async start(workspace: Workspace, network: ClusterNetwork): Promise<Containerd> {
    const folder = workspace.path("containerd");
    const cni = join(folder, "cni");
    mkdirSync(cni, { recursive: true });
    writeFileSync(join(cni, "10-pods.conflist"), JSON.stringify(cniConfig(network, join(folder, "addresses"))));
    const socket = join(folder, "containerd.sock");
    writeFileSync(join(folder, "config.toml"), config(folder, socket, cni));
    const program = workspace.start({
      name: "containerd",
      command: "nsenter",
      args: [...enter(network).slice(1), "containerd", "--config", join(folder, "config.toml")],
    });
    const containerd = new Containerd(socket, program);
    await program.whileRunning("containerd", () =>
      existsSync(socket) && containerd.#ctr("version").status === 0 ? true : undefined,
    );
    return containerd;
  }

  /** Loads a docker-archive or OCI archive, for pods to use without pulling. */
  import(archive: string): void {
    const { status, stderr } = this.#ctr("images", "import", archive);
    if (status !== 0) throw new Error(`import of ${archive}: ${stderr}`);
  }

  /** Ends what still runs in containers, as a machine that is switched off does; nothing of them stays. */
  removeAll(): void {
    // Deleting is what ends a container's shim, too, which no one else would.
    for (const id of this.#ctr("tasks", "list", "--quiet")
      .stdout.split("\n")
      .filter((line) => line !== ""))
      this.#ctr("tasks", "delete", "--force", id);
  }

  #ctr(...args: readonly string[]) {
    return spawnSync("ctr", ["--address", this.socket, "--namespace", "k8s.io", ...args], { encoding: "utf8" });
  }
}

// AppArmor and lowering of oom_score_adj ask for rights that containers, in which this may itself run, lack.
const config = (folder: string, socket: string, cni: string): string => `
version = 2
root = "${join(folder, "root")}"
state = "${join(folder, "state")}"
[grpc]
  address = "${socket}"
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
const cniConfig = ({ podRange }: ClusterNetwork, dataDir: string) => ({
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
