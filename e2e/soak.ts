/**
 * The long loops, one after another: what the tests of every commit do for seconds or minutes, for as long as it takes to
 * find what is rare. Each prints its own figure line; one that cannot run here says what it needs, and counts as failed.
 *
 *   npm run soak                    all of them
 *   npm run soak -- crash fuzz      some
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface Loop {
  readonly name: string;
  readonly says: string;
  /** Arguments of node. */
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly needsRoot?: true;
  /** Programs, and the Debian packages that have them. */
  readonly programs?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = "node_modules/vitest/vitest.mjs";
const FUZZ_SECONDS = 600;

const loops: readonly Loop[] = [
  {
    name: "crash",
    says: "1,000 kills, power cuts and failed syncs of the built server under load",
    command: ["e2e/crash/main.ts", "--cycles", "1000"],
    needsRoot: true,
    programs: { strace: "strace", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", xfs_io: "xfsprogs" },
  },
  {
    name: "races",
    says: "readers against the writer on shared memory for ten minutes",
    command: ["e2e/races/main.ts", "--seconds", "600"],
  },
  {
    name: "fuzz",
    says: `every fuzzer of test/fuzz for ${FUZZ_SECONDS / 60} minutes`,
    command: [vitest, "run", "test/fuzz", "--testTimeout", String(FUZZ_SECONDS * 2_000)],
    env: { FUZZ_SECONDS: String(FUZZ_SECONDS) },
  },
  {
    name: "faults",
    says: "the whole life of samples, cut off at every operation on the disk, and with each of them failing in every way",
    command: [vitest, "run", "test/tsdb/db/faults"],
    env: { FAULTS: "all" },
  },
  {
    name: "day",
    says: "a day of 100,000 series, of which 5 % are replaced every hour, at ten times the speed: all must level off",
    command: ["e2e/day/main.ts"],
  },
  {
    name: "mutants",
    says: "a dozen broken databases, each of which the fault tests must tell from the right one",
    command: ["e2e/crash/mutants.ts"],
  },
  {
    name: "operator",
    says: "the operator for an hour between a real API server and faults of every kind, databases coming and going",
    command: [vitest, "run", "--config", "e2e/cluster/vitest.config.ts", "--project", "cluster", "chance"],
    env: { FAULT_MINUTES: "60" },
    programs: { go: "golang" },
  },
];

/** What a loop needs and this machine lacks. */
function missing({ command, needsRoot, programs = {} }: Loop): string[] {
  const absent = Object.keys(programs).filter((program) => spawnSync("which", [program]).status !== 0);
  const packages = new Set(absent.map((program) => programs[program]!));
  return [
    ...(existsSync(`${root}/${command[0]!}`) ? [] : [`${command[0]!}, which is not there (npm ci)`]),
    ...(needsRoot && process.getuid?.() !== 0 ? ["root, to mount file systems and cut their power"] : []),
    ...(absent.length > 0 ? [`${absent.join(", ")} (apt-get install ${[...packages].join(" ")})`] : []),
  ];
}

async function run({ command, env }: Loop): Promise<boolean> {
  const child = spawn(process.execPath, command, { cwd: root, env: { ...process.env, ...env }, stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code === 0));
  });
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => !loops.some((loop) => loop.name === name));
if (unknown.length > 0) {
  const known = loops.map(({ name, says }) => `  ${name.padEnd(8)} ${says}`).join("\n");
  console.log(`No loop is called ${unknown.join(", ")}. There are:\n${known}`);
  process.exit(2);
}

const failed: string[] = [];
for (const loop of loops) {
  if (names.length > 0 && !names.includes(loop.name)) continue;
  const needs = missing(loop);
  if (needs.length > 0) console.log(`${loop.name} cannot run here. It needs ${needs.join("; ")}.`);
  else {
    console.log(`${loop.name}: ${loop.says}`);
    if (await run(loop)) continue;
  }
  failed.push(loop.name);
}
console.log(failed.length === 0 ? "All loops passed" : `Failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
