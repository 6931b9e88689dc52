/** A real node_exporter on loopback: what this machine tells about itself. */
import { isOk } from "./http.ts";
import { peerProgram } from "./peers.ts";
import { freePort } from "./ports.ts";
import type { Program } from "./program.ts";
import type { Workspace } from "./workspace.ts";

export interface NodeExporter {
  readonly program: Program;
  /** As a scrape target is written. */
  readonly address: string;
}

export async function startNodeExporter(workspace: Workspace): Promise<NodeExporter> {
  const address = `127.0.0.1:${await freePort()}`;
  const program = workspace.start({
    name: "node_exporter",
    command: peerProgram("node_exporter"),
    args: [`--web.listen-address=${address}`],
  });
  await program.whileRunning("its page", async () => ((await isOk(`http://${address}/`)) ? true : undefined));
  return { program, address };
}
