/** Runs a command in this process, and catches what it prints: a process of its own takes a third of a second. */
import { vi } from "vitest";
import { runProgram } from "../../src/tsdb/cli/program.ts";

export interface RunHere {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runHere(args: readonly string[]): Promise<RunHere> {
  let [stdout, stderr] = ["", ""];
  const out = vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((stdout += String(text))));
  const err = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += String(text))));
  try {
    const code = await runProgram(args, false);
    return { code, stdout, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}
