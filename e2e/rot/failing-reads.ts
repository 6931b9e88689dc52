/** Reads that the disk fails to do: what a running server reads of some files ends with EIO, by strace. */
import { readdirSync, readFileSync } from "node:fs";
import type { Workspace } from "../support/workspace.ts";

export interface FailingReads {
  readonly pid: number;
  readonly files: readonly string[];
  /** Of the reads of each thread the first that fails, and every so manieth after it. */
  readonly first: number;
  readonly every: number;
}

/** Attaches to a server. @returns once its reads fail, what makes them succeed again */
export async function failReads(
  workspace: Workspace,
  { pid, files, first, every }: FailingReads,
): Promise<() => Promise<void>> {
  const tracer = workspace.start({
    name: "strace",
    command: "strace",
    args: [
      "-fqq",
      "--output=/dev/null",
      `--attach=${pid}`,
      "--trace=pread64",
      `--inject=pread64:error=EIO:when=${first}+${every}`,
      ...files.map((path) => `--trace-path=${path}`),
    ],
  });
  await tracer.whileRunning("strace to attach to all threads", () =>
    tracersOf(pid).every((id) => id === tracer.pid) ? true : undefined,
  );
  return async () => void (await tracer.stop("SIGINT"));
}

/** Who traces each thread of a process; 0: nobody. */
function tracersOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((id) =>
    Number(/^TracerPid:\t(\d+)$/m.exec(readFileSync(`${tasks}/${id}/status`, "utf8"))![1]),
  );
}
