/**
 * One data directory and the faults that it goes through, one after another, under load. After each fault the server is
 * started again on what is left, and everything that was ever acknowledged here is looked for.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../test/support/random.ts";
import { type Findings, Ledger, type Promised } from "./ledger.ts";
import { Reader } from "./reader.ts";
import { Sender } from "./sender.ts";
import { CrashServer, type SyncMode } from "./server.ts";
import type { Volume } from "./volume.ts";

export interface LabOptions {
  /** The server's program. */
  readonly main: string;
  readonly seed: number;
  readonly random: Random;
  readonly sync: SyncMode;
  /** For logs; exists. */
  readonly dir: string;
  readonly volume: Volume;
}

export class Lab {
  readonly random: Random;
  readonly sync: SyncMode;
  readonly volume: Volume;
  readonly ledger: Ledger;
  readonly sender: Sender;
  /** The server that is running. */
  server: CrashServer | undefined;
  readonly #dir: string;
  readonly #main: string;

  constructor({ main, seed, random, sync, dir, volume }: LabOptions) {
    this.random = random;
    this.sync = sync;
    this.volume = volume;
    this.#dir = dir;
    this.#main = main;
    mkdirSync(dir, { recursive: true });
    this.ledger = new Ledger(seed);
    this.sender = new Sender(this.ledger, random.fork());
  }

  /** Starts a server, which need not become ready. */
  start(inject?: readonly string[]): CrashServer {
    if (this.server && !this.server.exit) throw new Error("A server is running already");
    const logFile = join(this.#dir, "server.log");
    this.server = new CrashServer({
      main: this.#main,
      dataDir: this.volume.dataDir,
      sync: this.sync,
      logFile,
      ...(inject && { inject }),
    });
    return this.server;
  }

  /** The running server, or a new one; ready either way. */
  async ready(): Promise<CrashServer> {
    const server = this.server && !this.server.exit ? this.server : this.start();
    if ((await server.ready()) === undefined) throw new Error(`The server ended at its start: ${describeExit(server)}`);
    return server;
  }

  /** Starts the server after a fault and looks for everything. */
  async judge(promised: Promised): Promise<Findings & { readonly recoveryMs: number }> {
    const server = this.start();
    const recoveryMs = await server.ready();
    if (recoveryMs === undefined) throw new Error(`The server does not start after the fault: ${describeExit(server)}`);
    const reader = new Reader(await server.url());
    try {
      const findings = await this.ledger.judge((shard) => reader.shard(shard), promised);
      const damage = await reader.damage();
      if (damage.length > 0) findings.problems.push(`It reports damage: ${JSON.stringify(damage)}`);
      for (const line of server.errors) findings.problems.push(`It logged an error: ${line}`);
      return { ...findings, recoveryMs };
    } finally {
      reader.close();
    }
  }

  async end(): Promise<void> {
    await this.server?.end("SIGKILL");
  }
}

export const describeExit = ({ exit, errors }: CrashServer): string =>
  `code ${exit?.code}, signal ${exit?.signal}${errors.length > 0 ? `, ${errors.at(-1)}` : ""}`;
