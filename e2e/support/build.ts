/** Before the first test: the kernel and the peers' programs, built where they are missing or old. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export function setup(): void {
  run("scripts/build-kernel.ts", process.execPath, ["scripts/build-kernel.ts"]);
  run("e2e/peers/build.sh", "bash", ["e2e/peers/build.sh"]);
}

function run(what: string, command: string, args: readonly string[]): void {
  // What it prints is progress; the folder that build.sh names on its output is known already.
  const { status } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${what} failed: the end-to-end tests need what it builds`);
}
