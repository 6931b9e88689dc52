/** Where the peers' programs are: built by e2e/peers/build.sh into a cache outside the tree. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const cache =
  process.env["TSDB_PEERS_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tsdb-peers");

export type Peer = "prometheus" | "promtool" | "victoria-metrics" | "node_exporter";

export function peerProgram(peer: Peer): string {
  const path = join(cache, "bin", peer);
  if (!existsSync(path)) throw new Error(`${path} is not there: run e2e/peers/build.sh, which needs Go 1.26`);
  return path;
}
