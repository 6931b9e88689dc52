/**
 * A temporary folder and the programs that run in it, for one test. Closing it stops the programs, last started first,
 * and removes the folder; after a failure the folder stays and is named, with the logs in it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Program } from "./program.ts";
import type { ProgramOptions } from "./program.ts";

export class Workspace {
  readonly folder: string;
  readonly #programs: Program[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `tsdb-e2e-${name}-`));
    mkdirSync(join(this.folder, "logs"));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  start(options: Omit<ProgramOptions, "logFile">): Program {
    // A program that is started again goes on in the same log.
    const program = new Program({ ...options, logFile: join(this.folder, "logs", `${options.name}.log`) });
    this.#programs.push(program);
    return program;
  }

  async close({ failed }: { readonly failed: boolean }): Promise<void> {
    for (const program of this.#programs.toReversed()) await program.stop("SIGTERM", 10_000).catch(() => {});
    if (failed) console.log(`kept for a look: ${this.folder} (logs in ${join(this.folder, "logs")})`);
    else rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs the main function of a program in a workspace of its own; what it resolves with becomes the exit code. */
export async function inWorkspace(name: string, main: (workspace: Workspace) => Promise<number>): Promise<void> {
  const workspace = new Workspace(name);
  process.exitCode = 1;
  try {
    process.exitCode = await main(workspace);
  } finally {
    await workspace.close({ failed: process.exitCode !== 0 });
  }
}
