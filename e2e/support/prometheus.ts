/** A real Prometheus on loopback, with a configuration that can be changed while it runs. */
import { isOk } from "./http.ts";
import { peerProgram } from "./peers.ts";
import { freePort } from "./ports.ts";
import type { Program } from "./program.ts";
import type { Workspace } from "./workspace.ts";

export interface PrometheusOptions {
  readonly name?: string;
  /** Given the port it will listen on, so that it can scrape itself. */
  readonly config: (port: number) => string;
  readonly flags?: readonly string[];
  readonly cpus?: string;
}

export interface Prometheus {
  readonly program: Program;
  readonly url: string;
  readonly port: number;
  /** Puts another configuration in force. */
  reload(config: string): Promise<void>;
}

export async function startPrometheus(workspace: Workspace, options: PrometheusOptions): Promise<Prometheus> {
  const { name = "prometheus", config, flags = [], cpus } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const configFile = workspace.write(`${name}.yml`, config(port));
  const program = workspace.start({
    name,
    command: peerProgram("prometheus"),
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${workspace.path(name)}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--web.enable-lifecycle",
      ...flags,
    ],
    ...(cpus === undefined ? {} : { cpus }),
  });
  await program.whileRunning("readiness", async () => ((await isOk(`${url}/-/ready`)) ? true : undefined));
  return {
    program,
    url,
    port,
    async reload(changed) {
      workspace.write(`${name}.yml`, changed);
      const response = await fetch(`${url}/-/reload`, { method: "POST" });
      if (!response.ok) throw new Error(`${name} did not take its new configuration: ${await response.text()}`);
    },
  };
}
