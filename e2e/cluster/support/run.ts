/** Programs of the machine, run to their end. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../..", import.meta.url));

export interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What the program printed. @throws with what it said on its error output when it failed, or is not there */
export function run(command: string, args: readonly string[], { cwd = root, input, env }: RunOptions = {}): string {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    ...(input === undefined ? {} : { input }),
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
  });
  if (error) throw new Error(`Cannot run ${command}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${tail(stdout + stderr)}`);
  return stdout;
}

const tail = (text: string): string => text.trimEnd().split("\n").slice(-40).join("\n");
