/** Runs the real `tsdb` in a process of its own, as a user would. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

export const tsdbFile = fileURLToPath(new URL("../../bin/tsdb.mjs", import.meta.url));

export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** The Node to run it with; this one when absent. */
  readonly node?: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;
  /** What it printed so far. */
  stdout(): string;
}

export function startTsdb(
  args: readonly string[],
  { env = {}, stdin = "", cwd, node = process.execPath }: RunOptions = {},
): Started {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("TSDB_") && name !== "NO_COLOR");
  const child = spawn(node, [tsdbFile, ...args], {
    env: { ...Object.fromEntries(inherited), ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => {}).end(stdin); // it may end without reading
  const ended = new Promise<Run>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended, stdout: () => stdout };
}

export const runTsdb = (args: readonly string[], options?: RunOptions): Promise<Run> => startTsdb(args, options).ended;
