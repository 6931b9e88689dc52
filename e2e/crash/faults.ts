/**
 * The faults: each takes a lab with its load and leaves a dead server and the disk as the fault left it. What must then be
 * found is its `promised`.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Promised } from "./ledger.ts";
import { describeExit, type Lab } from "./lab.ts";
import { Reader } from "./reader.ts";
import type { CrashServer, SyncMode } from "./server.ts";

export type FaultKind = "kill" | "syscall" | "power" | "eio" | "full" | "lying";

export interface Fault {
  readonly says: string;
  /** Whether it needs a file system of its own. */
  readonly needsVolume: boolean;
  /** Faults that one data directory goes through. */
  readonly perLab: number;
  readonly syncModes: readonly SyncMode[];
  promised(sync: SyncMode): Promised;
  /** @returns what it came to, in a word or two */
  cause(lab: Lab): Promise<string>;
}

const bothModes: readonly SyncMode[] = ["always", "interval"];
const LOAD_MS_MAX = 1_500;
/** What a nearly full disk has left: less than the reserve that the server keeps. */
const LEFT_BYTES = 24 * 1024 * 1024;
/** Two seconds are promised, and five; a busy machine gets some more. */
const FULL_MS_MAX = 6_000;
const WRITABLE_MS_MAX = 10_000;
/** Only the calls that are meant stop the server for strace. Does not work for signals: they would not be delivered. */
const filtered = ["--seccomp-bpf"];

export const faults: Readonly<Record<FaultKind, Fault>> = {
  kill: {
    says: "SIGKILL at a random moment: under load, at the start, or while it ends after SIGTERM",
    needsVolume: false,
    perLab: 5,
    syncModes: bothModes,
    promised: () => "all",
    async cause(lab) {
      const { random, sender } = lab;
      const server = await lab.ready();
      const sending = sender.run(await server.url());
      await Promise.race([delay(random.between(50, LOAD_MS_MAX)), sending]);
      const endsHalfway = random.chance(0.2);
      if (endsHalfway) await endHalfway(server, lab);
      else await server.end("SIGKILL");
      sender.stop();
      await sending;
      let starts = 0;
      for (; random.chance(0.25); starts++) await killAtStart(lab);
      return (endsHalfway ? "after SIGTERM" : "under load") + (starts > 0 ? " and at the start" : "");
    },
  },

  syscall: {
    says: "SIGKILL at the n-th call of one kind",
    needsVolume: false,
    perLab: 4,
    syncModes: bothModes,
    promised: () => "all",
    async cause(lab) {
      const { random, sender } = lab;
      await stopBetweenFaults(lab);
      const { call, paths, last } = random.pick(killPoints(lab.volume.dataDir));
      const server = lab.start([
        ...paths.flatMap((path) => ["-P", path]),
        "-e",
        `trace=${call}`,
        "-e",
        `inject=${call}:signal=KILL:when=${random.between(1, last)}`,
      ]);
      if ((await server.ready()) === undefined) return `${call} at the start`;
      const sending = sender.run(await server.url());
      await Promise.race([delay(LOAD_MS_MAX), server.exited]);
      const isReached = server.exit !== undefined;
      await server.end("SIGKILL");
      sender.stop();
      await sending;
      return isReached ? call : "not reached";
    },
  },

  power: {
    says: "power cut at a random moment: under load, or once more while it recovers",
    needsVolume: true,
    perLab: 4,
    syncModes: bothModes,
    promised: (sync) => (sync === "always" ? "all" : "prefix"),
    async cause(lab) {
      const server = await lab.ready();
      const sending = lab.sender.run(await server.url());
      await Promise.race([delay(lab.random.between(50, LOAD_MS_MAX)), sending]);
      await cutPower(lab, server, sending);
      let recoveries = 0;
      for (; lab.random.chance(0.25); recoveries++) {
        const recovering = lab.start();
        await Promise.race([delay(lab.random.between(100, 1_000)), recovering.exited]);
        await cutPower(lab, recovering);
      }
      return recoveries > 0 ? "under load and while recovering" : "under load";
    },
  },

  eio: {
    says: "a failed fdatasync, retries by the sender, then a power cut",
    needsVolume: true,
    perLab: 2,
    syncModes: bothModes,
    promised: (sync) => (sync === "always" ? "all" : "prefix"),
    async cause(lab) {
      const { random, sender } = lab;
      await stopBetweenFaults(lab);
      const first = random.between(2, 60);
      const server = lab.start([
        ...filtered,
        "-e",
        "trace=fdatasync",
        "-e",
        `inject=fdatasync:error=EIO:when=${first}`,
      ]);
      if ((await server.ready()) === undefined)
        throw new Error(`A failed sync ended the server: ${describeExit(server)}`);
      const sending = sender.run(await server.url());
      await Promise.race([delay(LOAD_MS_MAX), sending]);
      await untilHealed(lab);
      const refused = sender.unavailable;
      await cutPower(lab, server, sending);
      return refused > 0 ? "refused, then healed" : "nobody noticed";
    },
  },

  full: {
    says: "a disk that fills up under load, then has room again without a restart; then SIGKILL",
    needsVolume: true,
    perLab: 2,
    syncModes: bothModes,
    promised: () => "all",
    async cause(lab) {
      const { random, sender, volume } = lab;
      const server = await lab.ready();
      const url = await server.url();
      const sending = sender.run(url);
      await Promise.race([delay(random.between(50, LOAD_MS_MAX)), sending]);
      const isBrimful = random.chance(0.5);
      volume.fill(isBrimful ? 0 : LEFT_BYTES);
      await soon(lab, "refuses writes on a full disk", FULL_MS_MAX, () => sender.unavailable > 0);
      const reader = new Reader(url);
      await reader.shard(0);
      reader.close();
      const how = volume.canGrow && random.chance(0.5) ? "grow" : "free";
      volume.relieve(how);
      await soon(lab, "accepts writes again", WRITABLE_MS_MAX, () => sender.ackedSinceUnavailable > 0);
      await delay(random.between(0, 500));
      if (how === "grow") volume.relieve("free");
      await server.end("SIGKILL");
      sender.stop();
      await sending;
      return `${isBrimful ? "brimful" : "nearly full"}, ${how === "grow" ? "made larger" : "room made"}`;
    },
  },

  lying: {
    says: "the negative control: fdatasync and fsync that do nothing, then a power cut. It must lose data",
    needsVolume: true,
    perLab: 1,
    syncModes: ["always"],
    promised: () => "all",
    async cause(lab) {
      const server = lab.start([...filtered, "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:retval=0"]);
      if ((await server.ready()) === undefined) throw new Error(`The server did not start: ${describeExit(server)}`);
      const sending = lab.sender.run(await server.url());
      await Promise.race([delay(LOAD_MS_MAX), sending]);
      await cutPower(lab, server, sending);
      return "lied";
    },
  },
};

/** The calls that change what is on disk, and those that read it at the start; `last` is the highest n that is tried. */
function killPoints(dataDir: string): readonly { call: string; paths: readonly string[]; last: number }[] {
  const numbered = (dir: string): string[] =>
    Array.from({ length: 64 }, (_, index) => `${dir}/${String(index).padStart(8, "0")}`);
  const files = [...numbered(`${dataDir}/wal`), ...numbered(`${dataDir}/chunks_head`)];
  return [
    { call: "pwrite64", paths: [], last: 120 },
    { call: "pwrite64", paths: numbered(`${dataDir}/chunks_head`), last: 4 },
    { call: "fdatasync", paths: [], last: 80 },
    { call: "fdatasync", paths: numbered(`${dataDir}/chunks_head`), last: 4 },
    { call: "fsync", paths: [], last: 6 },
    { call: "openat", paths: files, last: 10 },
    { call: "pread64", paths: files, last: 10 },
    { call: "ftruncate", paths: files, last: 2 },
    // Blocks are made and go while the server runs.
    { call: "rename", paths: [], last: 8 },
    { call: "mkdir", paths: [], last: 8 },
    { call: "rmdir", paths: [], last: 4 },
    { call: "unlink", paths: [], last: 24 },
  ];
}

/** Killed at some moment between SIGTERM and its end; when it was faster, it must have ended well. */
async function endHalfway(server: CrashServer, lab: Lab): Promise<void> {
  server.child.kill("SIGTERM");
  lab.sender.stop();
  await Promise.race([delay(lab.random.between(0, 300)), server.exited]);
  const { code, signal } = await server.end("SIGKILL");
  if (signal === null && code !== 0) throw new Error(`SIGTERM ended it with ${describeExit(server)}`);
}

async function killAtStart(lab: Lab): Promise<void> {
  const server = lab.start();
  await Promise.race([delay(lab.random.between(100, 1_200)), server.exited]);
  const { code, signal } = await server.end("SIGKILL");
  if (signal === null) throw new Error(`It ended at its start, with code ${code}`);
}

/** A server that was left running ends before one starts under strace: one more way to go. */
async function stopBetweenFaults(lab: Lab): Promise<void> {
  if (!lab.server || lab.server.exit) return;
  const { code, signal } = await lab.server.end(lab.random.chance(0.5) ? "SIGTERM" : "SIGKILL");
  if (signal === null && code !== 0) throw new Error(`SIGTERM ended it with ${describeExit(lab.server)}`);
}

async function cutPower(lab: Lab, server: CrashServer, sending?: Promise<void>): Promise<void> {
  // The shutdown call lets a sync that is under way succeed for data that is gone: what is answered from here on is in doubt.
  lab.sender.freeze();
  lab.volume.cut();
  await server.end("SIGKILL");
  await sending;
  lab.volume.restore();
}

/** @throws when it does not become so in time, or the server ends */
async function soon({ server }: Lab, what: string, timeoutMs: number, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!isSo()) {
    if (server?.exit) throw new Error(`The server ended before it ${what}: ${describeExit(server)}`);
    if (performance.now() > endMs) throw new Error(`It is ${timeoutMs / 1000} s, and the server never ${what}`);
    await delay(20);
  }
}

const HEAL_MS_MAX = 20_000;

/** Writes must be accepted again after a failed sync; then the load goes on for a moment. */
async function untilHealed({ sender, random }: Lab): Promise<void> {
  const endMs = performance.now() + HEAL_MS_MAX;
  while (sender.unavailable > 0 && sender.ackedSinceUnavailable === 0) {
    if (performance.now() > endMs)
      throw new Error(`No write was accepted in the ${HEAL_MS_MAX / 1000} s after a failed sync`);
    await delay(20);
  }
  await delay(random.between(0, 500));
}
