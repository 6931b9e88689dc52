/**
 * A network for one cluster: a namespace of the kernel's, joined to the machine by a pair of virtual interfaces. Everything
 * of the cluster listens inside; the machine, and nobody else, reaches it by addresses that were made for it. Deleting the
 * namespace removes interfaces, routes, bridges and nft tables at once.
 *
 *   machine  10.N.0.1 ──veth── 10.N.0.2  namespace: API server, kubelet, pods 10.N.16.0/20
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { Network } from "../support/control-plane.ts";
import { enter } from "../support/control-plane.ts";

export interface ClusterNetwork extends Network {
  /** Where the machine is reached from inside. */
  readonly machine: string;
  readonly podRange: string;
  remove(): void;
}

/** Second bytes of addresses; each cluster of the machine takes one. */
const [FIRST, LAST] = [201, 249];

export function makeNetwork(): ClusterNetwork {
  for (let n = FIRST; n <= LAST; n++) {
    const namespace = `tsdb-e2e-${n}`;
    if (existsSync(`/run/netns/${namespace}`)) continue;
    // Whoever comes second fails here, and takes the next one.
    if (spawnSync("ip", ["netns", "add", namespace]).status !== 0) continue;
    const [machine, address, podRange] = [`10.${n}.0.1`, `10.${n}.0.2`, `10.${n}.16.0/20`];
    const network: Network = { namespace, address };
    try {
      const [outer, inner] = [`tsdbo${n}`, `tsdbi${n}`];
      run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner);
      run("ip", "link", "set", inner, "netns", namespace);
      run("ip", "address", "add", `${machine}/24`, "dev", outer);
      run("ip", "link", "set", outer, "up");
      const inside = (...command: readonly string[]) =>
        run(...([...enter(network), ...command] as [string, ...string[]]));
      inside("ip", "address", "add", `${address}/24`, "dev", inner);
      inside("ip", "link", "set", inner, "up");
      inside("ip", "link", "set", "lo", "up");
      // A kubelet, and the API server, ask which way is out; there is none.
      inside("ip", "route", "add", "default", "via", machine);
      inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1");
      run("ip", "route", "add", podRange, "via", address);
    } catch (thrown) {
      removeNetwork(namespace, n);
      throw thrown;
    }
    return { ...network, machine, podRange, remove: () => removeNetwork(namespace, n) };
  }
  throw new Error(`no network is free: ${LAST - FIRST + 1} clusters are there already (ip netns list)`);
}

function removeNetwork(namespace: string, n: number): void {
  // The pair goes with the namespace, but only when its last process has: not before this returns, perhaps.
  spawnSync("ip", ["link", "delete", `tsdbo${n}`]);
  spawnSync("ip", ["netns", "delete", namespace]);
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
