/**
 * One program of a test, in a process of its own: a server of ours or a peer. Its output goes to a file, not through a
 * pipe, so that it neither stalls when the test is busy nor dies with it half said.
 *
 * It never outlives the test: whoever starts it stops it (workspace.ts), and where the test itself is killed, the kernel
 * kills the program (parent-death signal, through setpriv of util-linux).
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { until } from "./until.ts";

export interface ProgramOptions {
  /** For messages and the log file's name. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** CPUs it may run on, as taskset writes them: "0", "0,1". All when absent. */
  readonly cpus?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const SETPRIV = "/usr/bin/setpriv";

export class Program {
  readonly name: string;
  readonly logFile: string;
  /** Resolves when the process is gone; rejects when it could not be started. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  /** Where this run begins in a log that it shares with earlier ones. */
  readonly #logStart: number;

  constructor({ name, command, args, logFile, env, cwd, cpus }: ProgramOptions) {
    this.name = name;
    this.logFile = logFile;
    // Each wrapper replaces itself by the next, so the process id stays that of the program.
    const wrappers = [
      ...(existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL"] : []),
      ...(cpus === undefined ? [] : ["taskset", "--cpu-list", cpus]),
    ];
    const [first, ...rest] = [...wrappers, command, ...args] as [string, ...string[]];
    const log = openSync(logFile, "a");
    this.#logStart = fstatSync(log).size;
    try {
      this.#child = spawn(first, rest, {
        stdio: ["ignore", log, log],
        env: { ...withoutTsdbVariables(process.env), ...env },
        ...(cwd === undefined ? {} : { cwd }),
      });
    } finally {
      closeSync(log);
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("exit", (code, signal) => resolve({ code, signal }));
    });
    // Whoever waits for it hears of a failed start; nobody has to.
    this.exited.catch(() => {});
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.name} was not started`);
    return pid;
  }

  get isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it printed so far. */
  log(): string {
    return readFileSync(this.logFile).subarray(this.#logStart).toString("utf8");
  }

  /** As `until`, but gives up, with the end of the log, as soon as the program ends. */
  async whileRunning<T>(what: string, probe: () => T | undefined | Promise<T | undefined>, timeoutMs = 60_000) {
    const guarded = () => {
      if (!this.isRunning) throw new Error(`${this.name} ended while waiting for ${what}:\n${this.#tail()}`);
      return probe();
    };
    try {
      return await until(what, guarded, { timeoutMs });
    } catch (thrown) {
      if (this.isRunning) throw new Error(`${String(thrown)}\n${this.#tail()}`, { cause: thrown });
      throw thrown;
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.pid, signal);
  }

  /** Sends the signal and waits; what is still there after `graceMs` is killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 20_000): Promise<Exit> {
    const killer = setTimeout(() => this.signal("SIGKILL"), graceMs);
    try {
      this.signal(signal);
      return await this.exited;
    } finally {
      clearTimeout(killer);
    }
  }

  #tail(): string {
    return this.log().split("\n").slice(-20).join("\n");
  }
}

/** What the shell of the tester has set must not configure the server under test. */
const withoutTsdbVariables = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("TSDB_") || name === "TSDB_PEERS_CACHE"));
