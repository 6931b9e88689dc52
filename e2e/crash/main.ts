/**
 * Crash tests of the built server: it is killed, its disk loses power or fails, and everything that it acknowledged must
 * still be there. Ends with a figure line, and with 1 when a sample was lost or wrong.
 *
 *   node e2e/crash/main.ts [--cycles N] [--only KIND] [--sync always|interval|both] [--seed S]
 *
 * KIND is one of those in faults.ts; without it all of them. Kinds other than `kill` need strace, those with power cuts
 * root, loop devices, mkfs.ext4, mkfs.xfs and xfs_io. What cannot run here counts as failed.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildPrograms } from "../../scripts/build-programs.ts";
import { messageOf } from "../../src/base/errors.ts";
import { Random, seedFromEnv } from "../../test/support/random.ts";
import { faults, type FaultKind } from "./faults.ts";
import { Lab } from "./lab.ts";
import type { SyncMode } from "./server.ts";
import { type FileSystem, loopVolume, plainVolume, type Volume } from "./volume.ts";

interface Plan {
  readonly kind: FaultKind;
  readonly sync: SyncMode;
  readonly cycles: number;
  readonly seed: number;
}

interface Totals {
  faults: number;
  acked: number;
  lost: number;
  wrong: number;
  allowedLosses: number;
  failures: number;
  worstRecoveryMs: number;
}

/** How many of a hundred faults are of each kind. */
const shares: Readonly<Record<FaultKind, number>> = { kill: 30, syscall: 30, power: 23, eio: 7, full: 7, lying: 3 };
const kinds = Object.keys(shares) as FaultKind[];

const { values: flags } = parseArgs({
  options: {
    cycles: { type: "string", default: "60" },
    only: { type: "string" },
    sync: { type: "string", default: "both" },
    seed: { type: "string" },
  },
});

const root = mkdtempSync(join(tmpdir(), "tsdb-crash-"));
const programs = join(root, "programs");
process.exitCode = await main();

async function main(): Promise<number> {
  const only = kinds.find((kind) => kind === flags.only);
  const cycles = Number(flags.cycles);
  if ((flags.only !== undefined && !only) || !(cycles >= 1) || !["always", "interval", "both"].includes(flags.sync)) {
    console.log(`usage: --cycles N --only ${kinds.join("|")} --sync always|interval|both --seed S`);
    return 2;
  }
  const needs = missingTools(only ? [only] : kinds);
  if (needs.length > 0) {
    console.log(`These crash tests cannot run here: ${needs.join("; ")}`);
    return 1;
  }
  const seed = flags.seed === undefined ? seedFromEnv() : Number(flags.seed);
  console.log(`${cycles} faults, seed ${seed}, data in ${root}`);
  await buildPrograms(programs);
  const totals: Totals = { faults: 0, acked: 0, lost: 0, wrong: 0, allowedLosses: 0, failures: 0, worstRecoveryMs: 0 };
  for (const plan of plans(cycles, only, seed)) await runLab(plan, totals);
  console.log(
    `${totals.faults} faults, ${totals.acked} acked samples, ${totals.lost} lost, ${totals.wrong} wrong, ` +
      `worst recovery ${(totals.worstRecoveryMs / 1000).toFixed(1)} s` +
      (totals.failures > 0 ? `; ${totals.failures} failures, data kept in ${root}` : ""),
  );
  if (totals.failures > 0) return 1;
  rmSync(root, { recursive: true });
  return 0;
}

/** Labs of a few faults each, kinds and modes in turn, each with a seed of its own that repeats it alone. */
function* plans(cycles: number, only: FaultKind | undefined, firstSeed: number): Generator<Plan> {
  let seed = firstSeed;
  for (const kind of only ? [only] : kinds) {
    const share = only ? cycles : Math.max(kind === "lying" ? 1 : 2, Math.round((cycles * shares[kind]) / 100));
    const modes = faults[kind].syncModes.filter((mode) => flags.sync === "both" || mode === flags.sync);
    if (modes.length === 0) continue;
    for (let left = share, lab = 0; left > 0; lab++) {
      // The last lab of one mode leaves some for the other.
      const planned = Math.min(faults[kind].perLab, Math.ceil(left / (lab === 0 ? modes.length : 1)));
      left -= planned;
      yield { kind, sync: modes[lab % modes.length]!, cycles: planned, seed: seed++ >>> 0 };
    }
  }
}

async function runLab({ kind, sync, cycles, seed }: Plan, totals: Totals): Promise<void> {
  const fault = faults[kind];
  const random = new Random(seed);
  const dir = join(root, `${kind}-${sync}-${seed}`);
  mkdirSync(dir);
  const type = random.pick<FileSystem>(["ext4", "xfs"]);
  const volume: Volume = fault.needsVolume ? loopVolume(dir, type) : plainVolume(dir);
  const lab = new Lab({ main: join(programs, "tsdb.mjs"), seed, random, sync, dir, volume });
  const where = fault.needsVolume ? ` on ${type}` : "";
  const problems: string[] = [];
  const summary = { faults: 0, lost: 0, wrong: 0, allowedLosses: 0, recoveryMs: 0 };
  const outcomes = new Map<string, number>();
  try {
    for (let cycle = 0; cycle < cycles && problems.length === 0; cycle++) {
      const outcome = await fault.cause(lab);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      summary.faults++;
      const found = await lab.judge(fault.promised(sync));
      problems.push(...found.problems);
      for (const key of ["lost", "wrong", "allowedLosses"] as const) summary[key] += found[key];
      summary.recoveryMs = Math.max(summary.recoveryMs, found.recoveryMs);
    }
  } catch (thrown) {
    problems.push(messageOf(thrown));
  }
  await lab.end();
  const acked = lab.ledger.ackedSamples;
  const isControl = kind === "lying";
  console.log(
    `${kind} ${sync}${where}: ${summary.faults} faults (${counted(outcomes)}), ${acked} acked samples, ${summary.lost} lost, ${summary.wrong} wrong` +
      (summary.allowedLosses > 0 ? `, ${summary.allowedLosses} behind the prefix` : "") +
      `, recovery ${(summary.recoveryMs / 1000).toFixed(2)} s` +
      (isControl ? " (the control: it must lose)" : ""),
  );
  totals.faults += summary.faults;
  if (isControl) {
    if (problems.length > 0) volume.discard();
    else fail(["A disk that lies about syncs lost nothing: these tests would not notice a loss"]);
    return;
  }
  totals.acked += acked;
  totals.lost += summary.lost;
  totals.wrong += summary.wrong;
  totals.allowedLosses += summary.allowedLosses;
  totals.worstRecoveryMs = Math.max(totals.worstRecoveryMs, summary.recoveryMs);
  if (problems.length > 0) fail(problems);
  else volume.discard();

  function fail(found: readonly string[]): void {
    totals.failures++;
    for (const text of found) console.log(`  ${text}`);
    console.log(`  data: ${volume.dataDir}, log: ${dir}/server.log`);
    console.log(`  again: node e2e/crash/main.ts --only ${kind} --sync ${sync} --cycles ${cycles} --seed ${seed}`);
  }
}

function counted(outcomes: ReadonlyMap<string, number>): string {
  return [...outcomes].map(([outcome, count]) => (count === 1 ? outcome : `${count} ${outcome}`)).join(", ");
}

/** What the kinds need and this machine lacks. */
function missingTools(wanted: readonly FaultKind[]): string[] {
  const has = (command: string): boolean => spawnSync("which", [command]).status === 0;
  const missing: string[] = [];
  const cuts = wanted.some((kind) => faults[kind].needsVolume);
  if (cuts && process.getuid?.() !== 0) missing.push("power cuts mount file systems, which only root may");
  const commands = [
    ...(wanted.some((kind) => ["syscall", "eio", "lying"].includes(kind)) ? ["strace"] : []),
    ...(cuts ? ["mkfs.ext4", "mkfs.xfs", "xfs_io", "xfs_growfs", "losetup", "fallocate", "mount"] : []),
  ].filter((command) => !has(command));
  if (commands.length > 0)
    missing.push(`missing: ${commands.join(", ")} (Debian: apt-get install strace e2fsprogs xfsprogs)`);
  return missing;
}
