/** A real single-node VictoriaMetrics on loopback. */
import { isOk } from "./http.ts";
import { peerProgram } from "./peers.ts";
import { freePort } from "./ports.ts";
import type { Program } from "./program.ts";
import type { Workspace } from "./workspace.ts";

export interface VictoriaMetricsOptions {
  readonly name?: string;
  readonly flags?: readonly string[];
  readonly cpus?: string;
}

export interface VictoriaMetrics {
  readonly program: Program;
  readonly url: string;
  readonly dataDir: string;
}

export async function startVictoriaMetrics(
  workspace: Workspace,
  { name = "victoria-metrics", flags = [], cpus }: VictoriaMetricsOptions = {},
): Promise<VictoriaMetrics> {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const dataDir = workspace.path(name);
  const program = workspace.start({
    name,
    command: peerProgram("victoria-metrics"),
    args: [`-storageDataPath=${dataDir}`, `-httpListenAddr=${address}`, ...flags],
    ...(cpus === undefined ? {} : { cpus }),
  });
  await program.whileRunning("readiness", async () => ((await isOk(`${url}/-/ready`)) ? true : undefined));
  return { program, url, dataDir };
}
