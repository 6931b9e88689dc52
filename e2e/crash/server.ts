/**
 * The built server as a child process, under strace when calls of it are to fail or to kill it. `child.pid` is the server
 * itself either way (strace -D traces from a grandchild), so a signal reaches what it is meant for.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, writeSync } from "node:fs";
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

export type SyncMode = "always" | "interval";

export interface ServerOptions {
  /** The program, as scripts/build-programs.ts made it. */
  readonly main: string;
  readonly dataDir: string;
  readonly sync: SyncMode;
  /** Where what it logs is kept, outside of its data. */
  readonly logFile: string;
  /** What strace is to do to which calls: its own arguments. */
  readonly inject?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const READY_MS_MAX = 120_000;

export class CrashServer {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly #startedMs = performance.now();
  readonly #listening: Promise<string>;
  /** Log lines of level error, as they come. */
  readonly errors: string[] = [];

  constructor({ main, dataDir, sync, logFile, inject }: ServerOptions) {
    const args = [
      main,
      "start",
      "--data-dir",
      dataDir,
      "--listen",
      "127.0.0.1:0",
      "--probe-listen",
      "",
      "--wal-sync",
      sync,
      "--wal-sync-interval",
      "200ms",
      "--wal-segment-size",
      "1MiB",
      "--compaction-interval",
      "1s",
      "--query-max-concurrency",
      "2",
      "--query-timeout",
      "60s",
    ];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TSDB_")));
    // One thread makes all file calls, so that strace, which counts per thread, counts them in their order.
    const [command, commandArgs] = inject
      ? ["strace", ["-D", "-f", "-qqq", "-o", "/dev/null", ...inject, process.execPath, ...args]]
      : [process.execPath, args];
    const log = openSync(logFile, "a");
    this.child = spawn(command, commandArgs, {
      env: { ...env, ...(inject && { UV_THREADPOOL_SIZE: "1" }) },
      stdio: ["ignore", "pipe", log],
    });
    closeSync(log);
    this.exited = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (code, signal) => resolve((this.exit = { code, signal })));
    });
    this.exited.catch(() => {});
    this.#listening = this.#readLog(logFile);
    this.#listening.catch(() => {});
  }

  /** Resolves with the base URL once it listens. */
  #readLog(logFile: string): Promise<string> {
    const file = openSync(logFile, "a");
    this.child.on("close", () => closeSync(file));
    return new Promise((resolve, reject) => {
      let rest = "";
      this.child.stdout!.setEncoding("utf8").on("data", (text: string) => {
        writeSync(file, text);
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        for (const line of lines) {
          const entry = parse(line);
          if (entry["level"] === "error") this.errors.push(line);
          if (entry["msg"] === "listening") resolve(String(entry["url"]));
        }
      });
      this.exited.then(() => reject(new Error(`The server ended before it listened; its log is ${logFile}`)), reject);
    });
  }

  /** Waits until it takes writes. @returns ms since it was started; undefined when it ended instead */
  async ready(): Promise<number | undefined> {
    let url: string;
    try {
      url = await this.#listening;
    } catch (error) {
      if (this.exit) return undefined;
      throw error;
    }
    while (!this.exit) {
      if ((await statusOf(`${url}/-/ready`)) === 200) return performance.now() - this.#startedMs;
      if (performance.now() - this.#startedMs > READY_MS_MAX)
        throw new Error("The server is not ready after two minutes");
      await delay(10);
    }
    return undefined;
  }

  url(): Promise<string> {
    return this.#listening;
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<Exit> {
    if (!this.exit) this.child.kill(signal);
    return this.exited;
  }
}

async function statusOf(url: string): Promise<number | undefined> {
  const request = get(url, { agent: false });
  try {
    const [response] = (await once(request, "response")) as [{ statusCode?: number; resume(): void }];
    response.resume();
    return response.statusCode;
  } catch {
    return undefined; // not there yet, or not any more: the caller looks at the process
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}
