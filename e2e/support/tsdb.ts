/** A `tsdb start` of this checkout, as a user runs it: the real command line, on loopback, with a data directory of its own. */
import { fileURLToPath } from "node:url";
import { isOk } from "./http.ts";
import type { Program } from "./program.ts";
import type { Workspace } from "./workspace.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** The Node that the package brings along, whatever runs the test: no hand-over, so the process id is the server's. */
const node = `${root}node_modules/.bin/node`;

export interface TsdbOptions {
  /** The program, where it is to be another than that of the checkout: as the image has it, for one. */
  readonly main?: string;
  /** Folder in the workspace; kept over restarts under the same name. */
  readonly name?: string;
  /** Port of the API; the system chooses when absent. */
  readonly port?: number;
  /** Further flags of `tsdb start`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cpus?: string;
  /** Replay may take a while, and a machine may be busy with other tests. */
  readonly readyTimeoutMs?: number;
  /** Waits for this state instead of readiness. */
  readonly state?: string;
}

export interface Tsdb {
  readonly program: Program;
  readonly url: string;
  readonly probeUrl: string;
  readonly dataDir: string;
}

/** Starts a server and waits until it says that it is ready. */
export async function startTsdb(workspace: Workspace, options: TsdbOptions = {}): Promise<Tsdb> {
  const { main = `${root}bin/tsdb.mjs`, name = "tsdb", port = 0, flags = [], env, cpus, state } = options;
  const { readyTimeoutMs = 120_000 } = options;
  const dataDir = workspace.path(name);
  const program = workspace.start({
    name,
    command: node,
    args: [
      main,
      "start",
      `--data-dir=${dataDir}`,
      `--listen=127.0.0.1:${port}`,
      "--probe-listen=127.0.0.1:0",
      ...flags,
    ],
    cwd: workspace.folder,
    ...(env === undefined ? {} : { env }),
    ...(cpus === undefined ? {} : { cpus }),
  });
  const { url, probe_url: probeUrl } = await program.whileRunning(
    "its addresses",
    () => listening(program),
    readyTimeoutMs,
  );
  await program.whileRunning(
    state ?? "readiness",
    async () =>
      (await (state === undefined ? isOk(`${probeUrl}/-/ready`) : isState(probeUrl, state))) ? true : undefined,
    readyTimeoutMs,
  );
  return { program, url, probeUrl, dataDir };
}

async function isState(probeUrl: string, wanted: string): Promise<boolean> {
  const response = await fetch(`${probeUrl}/-/state`);
  return ((await response.json()) as { readonly state: string }).state === wanted;
}

interface ListeningLine {
  readonly url: string;
  readonly probe_url: string;
}

/** The log line that says where it listens. */
function listening(program: Program): ListeningLine | undefined {
  const line = program
    .log()
    .split("\n")
    .find((text) => text.includes('"msg":"listening"'));
  return line === undefined ? undefined : (JSON.parse(line) as ListeningLine);
}
