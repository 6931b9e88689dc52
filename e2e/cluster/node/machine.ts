/**
 * A machine within this one, made of the kernel's namespaces: a network, joined to the real machine by a pair of virtual
 * interfaces, and mounts, with the system's folders written to and forgotten. Everything of the cluster listens inside; the
 * real machine, and nobody else, reaches it by addresses that were made for it. With its last process all of it is gone,
 * however that ended: interfaces, routes, nft tables, mounts, loop devices.
 *
 *   real machine  10.N.0.1 ──veth── 10.N.0.2  API server, kubelet, pods 10.N.16.0/20
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../../support/program.ts";
import { until } from "../../support/until.ts";
import type { Workspace } from "../../support/workspace.ts";
import type { Network } from "../support/control-plane.ts";
import { on } from "../support/control-plane.ts";

/** Second bytes of addresses; each cluster of the machine takes one. */
const [FIRST, LAST] = [201, 249];

const CGROUPS = "/sys/fs/cgroup";

/** What a kubelet sets for itself, and the real machine is to keep as it is. */
const SETTINGS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"].concat([
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
]);

/** Where kubelet, containerd and the CNI plugins keep what no flag of theirs moves. */
const FORGOTTEN = ["/var/lib", "/var/log"];

// A mount that is made for a pod has to be seen by containerd, whose mounts are a copy of these: hence rshared.
const INSIDE = `
  mount --make-rshared /
  mount -t tmpfs tmpfs /run
  for folder in ${FORGOTTEN.join(" ")}; do
    mkdir -p /run/written$folder/upper /run/written$folder/work
    mount -t overlay overlay -o lowerdir=$folder,upperdir=/run/written$folder/upper,workdir=/run/written$folder/work $folder
  done
  for setting in ${SETTINGS.join(" ")}; do
    mkdir -p "$(dirname /run/settings/$setting)"
    cat /proc/sys/$setting >/run/settings/$setting
    mount --bind /run/settings/$setting /proc/sys/$setting
  done
  ip link set lo up
  sysctl -q -w net.ipv4.ip_forward=1
  echo ready
  exec sleep infinity
`;

export class Machine implements Network {
  readonly pid: number;
  readonly address: string;
  /** Where the real machine is reached from inside. */
  readonly outside: string;
  readonly podRange: string;
  /** A path in each hierarchy of cgroups, for those of pods. */
  readonly cgroup: string;
  readonly #holder: Program;
  readonly #outer: string;
  readonly #inner: string;

  private constructor(holder: Program, n: number) {
    this.#holder = holder;
    this.pid = holder.pid;
    [this.#outer, this.#inner] = interfaces(n);
    [this.outside, this.address, this.podRange] = [`10.${n}.0.1`, `10.${n}.0.2`, `10.${n}.16.0/20`];
    this.cgroup = `tsdb-e2e-${n}`;
  }

  static async start(workspace: Workspace): Promise<Machine> {
    const holder = workspace.start({
      name: "machine",
      command: "unshare",
      args: ["--net", "--mount", "--propagation", "private", "sh", "-euc", INSIDE],
    });
    await holder.whileRunning("a machine of its own", () => (holder.log().includes("ready\n") ? true : undefined));
    for (let n = FIRST; n <= LAST; n++) {
      const [outer, inner] = interfaces(n);
      // Whoever comes second fails here, and takes the next one.
      if (spawnSync("ip", ["link", "add", outer, "type", "veth", "peer", "name", inner]).status !== 0) continue;
      const machine = new Machine(holder, n);
      try {
        machine.#connect();
        return machine;
      } catch (thrown) {
        await machine.remove();
        throw thrown;
      }
    }
    await holder.stop("SIGKILL");
    throw new Error(`none of the addresses 10.${FIRST} to 10.${LAST} is free: see the interfaces in "ip link"`);
  }

  #connect(): void {
    run("ip", "link", "set", this.#inner, "netns", String(this.pid));
    run("ip", "address", "add", `${this.outside}/24`, "dev", this.#outer);
    run("ip", "link", "set", this.#outer, "up");
    const inside = (command: string, ...args: readonly string[]) => {
      const call = on(this, command, args);
      run(call.command, ...call.args);
    };
    inside("ip", "address", "add", `${this.address}/24`, "dev", this.#inner);
    inside("ip", "link", "set", this.#inner, "up");
    // A kubelet, and the API server, ask which way is out; there is none.
    inside("ip", "route", "add", "default", "via", this.outside);
    run("ip", "route", "add", this.podRange, "via", this.address);
    // Of one that was ended before it could.
    this.#removeCgroups();
    for (const hierarchy of this.#hierarchies()) mkdirSync(hierarchy, { recursive: true });
  }

  /** When everything in it was ended. */
  async remove(): Promise<void> {
    await this.#holder.stop("SIGKILL");
    // The pair goes with the network, but not before this returns, perhaps.
    spawnSync("ip", ["link", "delete", this.#outer]);
    await until("the pods' cgroups to be empty", () => (this.#removeCgroups() ? true : undefined));
  }

  #hierarchies(): readonly string[] {
    const isOne = existsSync(join(CGROUPS, "cgroup.controllers"));
    const roots = isOne ? [CGROUPS] : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));
    return roots.map((hierarchy) => join(hierarchy, this.cgroup));
  }

  #removeCgroups(): boolean {
    try {
      for (const hierarchy of this.#hierarchies()) if (existsSync(hierarchy)) removeCgroup(hierarchy);
      return true;
    } catch {
      return false;
    }
  }
}

const interfaces = (n: number): readonly [string, string] => [`tsdbo${n}`, `tsdbi${n}`];

/** Its files cannot be removed, nor does it have to be without them: only the cgroups in it. */
function removeCgroup(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  rmdirSync(folder);
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
