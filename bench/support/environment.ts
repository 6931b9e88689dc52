/** Where and on what a benchmark ran: printed with every result, because a figure means nothing without it. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { LOAD_CORE } from "./servers.ts";

export interface Environment {
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly date: string;
}

export function environment(): Environment {
  return { commit: commit(), machine: machine(), node: process.versions.node, date: new Date().toISOString() };
}

/** The load is made on one core, the servers run on another. @throws Error when this machine cannot do that */
export function pinToLoadCore(): void {
  if (process.platform !== "linux" || cpus().length < 2)
    throw new Error("The benchmarks need Linux and two cores: one for the load, one for the server");
  const { status, stderr, error } = spawnSync("taskset", ["-acp", String(LOAD_CORE), String(process.pid)]);
  if (status !== 0) throw new Error(`Cannot pin to core ${LOAD_CORE}: ${error?.message ?? stderr.toString()}`);
}

function commit(): string {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
  try {
    const isDirty = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short=10", "HEAD") + (isDirty ? " and local changes" : "");
  } catch {
    return "unknown";
  }
}

function machine(): string {
  const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1] ?? process.arch;
  const gibibytes = Math.round(totalmem() / 1024 ** 3);
  return `${model.trim()}, ${cpus().length} cores, ${gibibytes} GiB, Linux ${release()}`;
}
