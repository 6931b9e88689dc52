/**
 * Bit rot: bits of block files are flipped while the server runs, after it has read the files once. What it then answers
 * must be right, or say that something is missing: never a wrong sample, never silently fewer. After each round the bits are
 * put back. Then reads of those files fail while it runs: the same must hold, and once they succeed all is there, with no
 * block set aside. At the end `tsdb verify` must name a flipped bit, and find nothing once it is put back.
 *
 *   node e2e/rot/main.ts [--flips 2000] [--read-rounds 20] [--seed S]
 *
 * Failing reads need strace, and root or the right to trace.
 */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildPrograms } from "../../scripts/build-programs.ts";
import { Random, seedFromEnv } from "../../test/support/random.ts";
import { tsdbFile } from "../../test/support/run-tsdb.ts";
import { dataOf, post } from "../admin/client.ts";
import { METRIC, SERIES_PER_SHARD, valueAt, writeBody } from "../crash/workload.ts";
import { postWrite } from "../support/remote-write.ts";
import { startTsdb, type Tsdb } from "../support/tsdb.ts";
import { inWorkspace, type Workspace } from "../support/workspace.ts";
import { failReads } from "./failing-reads.ts";

const HOUR_MS = 3_600_000;
const SHARDS = 10;
const STEP_MS = 6 * 60_000;
const SPAN_MS = 24 * HOUR_MS;
const TIMES_PER_REQUEST = 60;
/** Flipped before everything is read once more. */
const FLIPS_PER_ROUND = 40;

const { values: flags } = parseArgs({
  options: {
    flips: { type: "string", default: "2000" },
    "read-rounds": { type: "string", default: "20" },
    seed: { type: "string" },
  },
});
const seed = flags.seed === undefined ? seedFromEnv() : Number(flags.seed);
const random = new Random(seed);

interface Flip {
  readonly file: string;
  readonly offset: number;
  readonly mask: number;
}

interface Answer {
  readonly status: number;
  readonly isWarned: boolean;
  readonly found: number;
  readonly wrong: number;
}

await inWorkspace("rot", main);

async function main(workspace: Workspace): Promise<number> {
  await buildPrograms(workspace.path("programs"));
  let server = await start(workspace);
  const { dataDir } = server;
  const endMs = Math.floor((Date.now() - 2 * HOUR_MS) / STEP_MS) * STEP_MS;
  const times = Array.from({ length: SPAN_MS / STEP_MS }, (_, i) => endMs - SPAN_MS + (i + 1) * STEP_MS);
  for (let first = 0; first < times.length; first += TIMES_PER_REQUEST)
    for (let shard = 0; shard < SHARDS; shard++) {
      const timesMs = times.slice(first, first + TIMES_PER_REQUEST);
      const { status, text } = await postWrite(server.url, new Uint8Array(writeBody(seed, { shard, timesMs })));
      if (status !== 204) throw new Error(`A write was answered ${status}: ${text}`);
    }
  await dataOf(post(server.url, "/api/v1/admin/compact"));
  const all = times.length * SHARDS * SERIES_PER_SHARD;
  await expectWhole(server.url, endMs, all);

  const blocksDir = join(dataDir, "blocks");
  const files = readdirSync(blocksDir, { recursive: true, encoding: "utf8" })
    .map((name) => join(blocksDir, name))
    .filter((path) => statSync(path).isFile());
  console.log(`seed ${seed}: ${all} samples in ${files.length} files of ${readdirSync(blocksDir).length} blocks`);
  let [flipped, wrong, silent, detected, harmless, setAside] = [0, 0, 0, 0, 0, 0];
  while (flipped < Number(flags.flips)) {
    const flips = Array.from({ length: FLIPS_PER_ROUND }, () => randomFlip(files));
    for (const flip of flips) apply(flip, dataDir);
    flipped += flips.length;
    const answer = await readAll(server.url, endMs);
    wrong += answer.wrong;
    if (answer.isWarned || answer.status !== 200) detected++;
    else if (answer.found < all) silent += all - answer.found;
    else harmless++;
    const before = quarantined(dataDir).length;
    if (before > 0 || answer.isWarned) {
      // What was found damaged is set aside by and by. Put everything back, and look whether it is all there.
      await server.program.stop("SIGTERM");
      setAside += putBack(dataDir);
      for (const flip of flips.toReversed()) apply(flip, dataDir);
      server = await start(workspace);
    } else for (const flip of flips.toReversed()) apply(flip, dataDir);
    await expectWhole(server.url, endMs, all);
  }
  const reads = { rounds: Number(flags["read-rounds"]), noticed: 0, wrong: 0, silent: 0 };
  for (let round = 0; round < reads.rounds; round++) {
    const [first, every] = [random.between(1, 40), random.between(1, 40)];
    const succeed = await failReads(workspace, { pid: server.program.pid, files, first, every });
    const answer = await readAll(server.url, endMs);
    await succeed();
    reads.wrong += answer.wrong;
    if (answer.isWarned) reads.noticed++;
    else reads.silent += all - answer.found;
    await expectWhole(server.url, endMs, all);
  }
  const lost = quarantined(dataDir);
  console.log(
    `${reads.rounds} rounds of failing reads, ${reads.noticed} noticed, ${reads.wrong} wrong samples, ` +
      `${reads.silent} silently missing, ${lost.length} blocks set aside`,
  );
  await server.program.stop("SIGTERM");
  const verdicts = verifyNotices(dataDir, files);
  console.log(
    `${flipped} flips, ${wrong} wrong samples, ${silent} silently missing; rounds of ${FLIPS_PER_ROUND}: ` +
      `${detected} noticed, ${harmless} harmless; ${setAside} blocks set aside, and whole again once put back; ${verdicts.text}`,
  );
  const areReadsRight = reads.wrong === 0 && reads.silent === 0 && (reads.noticed > 0 || reads.rounds === 0);
  return wrong === 0 && silent === 0 && detected > 0 && areReadsRight && lost.length === 0 && verdicts.isRight ? 0 : 1;
}

function start(workspace: Workspace): Promise<Tsdb> {
  return startTsdb(workspace, {
    main: workspace.path("programs/tsdb.mjs"),
    flags: ["--scrub-interval=24h", "--query-max-series=100000", "--compaction-interval=1h", "--retention=60d"],
  });
}

function quarantined(dataDir: string): string[] {
  const dir = join(dataDir, "quarantine");
  return existsSync(dir) ? readdirSync(dir) : [];
}

/** Moves blocks that were set aside back to where they were. @returns how many */
function putBack(dataDir: string): number {
  const names = quarantined(dataDir);
  for (const name of names) {
    rmSync(join(dataDir, "quarantine", name, "reason.txt"), { force: true });
    renameSync(join(dataDir, "quarantine", name), join(dataDir, "blocks", name));
  }
  return names.length;
}

async function expectWhole(url: string, endMs: number, all: number): Promise<void> {
  const whole = await readAll(url, endMs);
  if (whole.found !== all || whole.wrong > 0 || whole.isWarned)
    throw new Error(`Without any flip: ${JSON.stringify(whole)} where ${all} samples were written`);
}

/** Every series over the whole range, compared with what was written. */
async function readAll(url: string, endMs: number): Promise<Answer> {
  const query = `${METRIC}[${(SPAN_MS + STEP_MS) / 1000}s]`;
  const parameters = new URLSearchParams({ query, time: String(endMs / 1000) });
  const response = await fetch(`${url}/api/v1/query`, { method: "POST", body: parameters });
  if (!response.ok) return { status: response.status, isWarned: true, found: 0, wrong: 0 };
  const { data, warnings } = (await response.json()) as {
    readonly warnings?: readonly string[];
    readonly data: {
      readonly result: readonly {
        readonly metric: Readonly<Record<string, string>>;
        readonly values: readonly (readonly [number, string])[];
      }[];
    };
  };
  let [found, wrong] = [0, 0];
  for (const { metric, values } of data.result) {
    const series = Number(metric["shard"]) * SERIES_PER_SHARD + Number(metric["i"]);
    for (const [seconds, text] of values) {
      const expected = valueAt(seed, series, Math.round(seconds * 1000));
      found++;
      if (!Object.is(Number(text.replace("Inf", "Infinity")), expected)) wrong++;
    }
  }
  return { status: response.status, isWarned: (warnings?.length ?? 0) > 0, found, wrong };
}

function randomFlip(files: readonly string[]): Flip {
  for (;;) {
    const file = random.pick(files);
    const { size } = statSync(file);
    if (size > 0) return { file, offset: random.below(size), mask: 1 << random.below(8) };
  }
}

/** Flips a bit; once more puts it back. The block may have been set aside meanwhile. */
function apply({ file, offset, mask }: Flip, dataDir: string): void {
  const path = existsSync(file) ? file : file.replace(join(dataDir, "blocks"), join(dataDir, "quarantine"));
  const fd = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  byte[0]! ^= mask;
  writeSync(fd, byte, 0, 1, offset);
  closeSync(fd);
}

/** `tsdb verify` on the directory as it is, and with a bit flipped in each of a few files. */
function verifyNotices(
  dataDir: string,
  files: readonly string[],
): { readonly isRight: boolean; readonly text: string } {
  const sound = verify(dataDir);
  if (sound.status !== 0)
    return { isRight: false, text: `verify says ${sound.status} of a sound directory: ${sound.text}` };
  const tried = Math.min(10, files.length);
  let noticed = 0;
  for (let i = 0; i < tried; i++) {
    const flip = randomFlip(files);
    apply(flip, dataDir);
    const { status, text } = verify(dataDir);
    if (status === 3 && flip.file.split("/").some((part) => part.length === 26 && text.includes(part))) noticed++;
    apply(flip, dataDir);
  }
  return { isRight: noticed === tried, text: `verify noticed ${noticed} of ${tried}` };
}

function verify(dataDir: string): { readonly status: number | null; readonly text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsdbFile, "verify", "--data-dir", dataDir], {
    encoding: "utf8",
  });
  return { status, text: stdout + stderr };
}
