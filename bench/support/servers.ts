/**
 * The servers that are compared, each in a process of its own on a data directory of its own under /tmp, pinned to one
 * core, so that Go's and Node's threads share that core and GOMAXPROCS is 1. Settings are each product's defaults, but for
 * what a benchmark names.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Program } from "../../e2e/support/program.ts";
import { startPrometheus } from "../../e2e/support/prometheus.ts";
import { startTsdb } from "../../e2e/support/tsdb.ts";
import { startVictoriaMetrics } from "../../e2e/support/victoria-metrics.ts";
import { Workspace } from "../../e2e/support/workspace.ts";
import type { Peer } from "./budgets.ts";
import { cpuSeconds, diskBytes, memoryUsage, type MemoryUsage } from "./process-usage.ts";

/** The core that servers run on; load is made on LOAD_CORE. */
export const SERVER_CORE = 1;
export const LOAD_CORE = 0;

const cpus = String(SERVER_CORE);

interface Started {
  readonly program: Program;
  readonly url: string;
  readonly dataDir: string;
}

/** Ours as the image has it; `npm run bench` makes it anew. */
const BUILT = fileURLToPath(new URL("../../dist/programs/tsdb.mjs", import.meta.url));

/** How to start one product. */
export interface Product {
  /** As tables show it; also names its folder in the workspace. */
  readonly name: string;
  /** Undefined for ours. */
  readonly peer: Peer | undefined;
  /** Where the log that it writes before anything else lies in the data directory, for those that have one. */
  readonly walFolder: string | undefined;
  start(workspace: Workspace): Promise<Started>;
}

export interface TsdbOptions {
  readonly sync?: "always" | "interval";
  readonly flags?: readonly string[];
  readonly profileDir?: string | undefined;
}

export function tsdb({ sync = "always", flags = [], profileDir }: TsdbOptions = {}): Product {
  const name = `tsdb-${sync}`;
  const profile = profileDir === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDir}` };
  return {
    name,
    peer: undefined,
    walFolder: "wal",
    start: (workspace) =>
      startTsdb(workspace, {
        main: BUILT,
        name,
        cpus,
        env: profile,
        flags: [`--wal-sync=${sync}`, ...flags],
        readyTimeoutMs: 600_000,
      }),
  };
}

export const victoriaMetrics = (flags: readonly string[] = []): Product => ({
  name: "VictoriaMetrics",
  peer: "VictoriaMetrics",
  walFolder: undefined,
  start: (workspace) => startVictoriaMetrics(workspace, { name: "VictoriaMetrics", cpus, flags }),
});

export const prometheus = (flags: readonly string[] = []): Product => ({
  name: "Prometheus",
  peer: "Prometheus",
  walFolder: "wal",
  async start(workspace) {
    const { program, url } = await startPrometheus(workspace, {
      name: "Prometheus",
      cpus,
      config: () => "global: {}\n",
      flags: ["--web.enable-remote-write-receiver", ...flags],
    });
    return { program, url, dataDir: workspace.path("Prometheus") };
  },
});

/** Those whose names begin as asked, or all of them. */
export const chosen = (products: readonly Product[], names: readonly string[]): Product[] =>
  products.filter(
    ({ name }) => names.length === 0 || names.some((start) => name.toLowerCase().startsWith(start.toLowerCase())),
  );

/** A running server. */
export class BenchServer {
  readonly product: Product;
  readonly url: string;
  readonly dataDir: string;
  readonly program: Program;
  /** From the start of the process until it was ready. */
  readonly startSeconds: number;

  private constructor(product: Product, { program, url, dataDir }: Started, startSeconds: number) {
    this.product = product;
    this.program = program;
    this.url = url;
    this.dataDir = dataDir;
    this.startSeconds = startSeconds;
  }

  /** Starts a server on the data that an earlier one left in the workspace, or on none. */
  static async start(product: Product, workspace: Workspace): Promise<BenchServer> {
    const startMs = performance.now();
    const started = await product.start(workspace);
    return new BenchServer(product, started, (performance.now() - startMs) / 1000);
  }

  get name(): string {
    return this.product.name;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get walDir(): string | undefined {
    const { walFolder } = this.product;
    return walFolder === undefined ? undefined : join(this.dataDir, walFolder);
  }

  cpuSeconds(): number {
    return cpuSeconds(this.program.pid);
  }

  memory(): MemoryUsage {
    return memoryUsage(this.program.pid);
  }

  /** While others are measured: nothing of it runs, so that it takes nothing of their core. */
  pause(): void {
    this.program.signal("SIGSTOP");
  }

  resume(): void {
    this.program.signal("SIGCONT");
  }

  /** Ends it without a word, and keeps its data directory. */
  async kill(): Promise<void> {
    await this.program.stop("SIGKILL");
  }

  /** Ends it in good order, and keeps its data directory. */
  async stop(): Promise<void> {
    this.resume();
    await this.program.stop("SIGTERM");
  }
}

export interface DiskUse {
  /** Of the log that is written before anything else; NaN when there is none. */
  readonly walBytes: number;
  readonly allBytes: number;
}

export const diskUse = ({ walDir, dataDir }: BenchServer): DiskUse => ({
  walBytes: walDir === undefined ? NaN : diskBytes(walDir),
  allBytes: diskBytes(dataDir),
});

const folders = new Set<string>();

/** Runs with a workspace, and leaves neither its servers nor its folder behind. */
export async function withWorkspace<T>(name: string, run: (workspace: Workspace) => Promise<T>): Promise<T> {
  const workspace = new Workspace(`bench-${name}`);
  folders.add(workspace.folder);
  try {
    return await run(workspace);
  } finally {
    await workspace.close({ failed: false });
    folders.delete(workspace.folder);
  }
}

/** What an interrupt must do before it ends this process, with which its servers end too. */
export function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
