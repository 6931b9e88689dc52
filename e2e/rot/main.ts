/**
 * Bit rot: bits of block files are flipped while the server runs, after it has read the files once. What it then answers
 * must be right, or say that something is missing: never a wrong sample, never silently fewer. After each round the bits are
 * put back. At the end `tsdb verify` must name a flipped bit, and find nothing once it is put back.
 *
 *   node e2e/rot/main.ts [--flips 2000] [--seed S]
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random, seedFromEnv } from "../../test/support/random.ts";
import { METRIC, SERIES_PER_SHARD, valueAt, writeBody } from "../crash/workload.ts";
import { startTsdb } from "../support/tsdb.ts";
import { Workspace } from "../support/workspace.ts";

const HOUR_MS = 3_600_000;
const SHARDS = 10;
const STEP_MS = 6 * 60_000;
const SPAN_MS = 24 * HOUR_MS;
const TIMES_PER_REQUEST = 60;
/** Flipped before everything is read once more. */
const FLIPS_PER_ROUND = 20;

const { values: flags } = parseArgs({
  options: { flips: { type: "string", default: "2000" }, seed: { type: "string" } },
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

const workspace = new Workspace("rot");
process.exitCode = 1;
try {
  process.exitCode = await main();
} finally {
  await workspace.close({ failed: process.exitCode !== 0 });
}

async function main(): Promise<number> {
  const { url, dataDir, program } = await startTsdb(workspace, {
    flags: ["--scrub-interval=24h", "--query-max-series=100000", "--compaction-interval=1h"],
  });
  const endMs = Math.floor((Date.now() - 2 * HOUR_MS) / STEP_MS) * STEP_MS;
  const times = Array.from({ length: SPAN_MS / STEP_MS }, (_, i) => endMs - SPAN_MS + (i + 1) * STEP_MS);
  for (let first = 0; first < times.length; first += TIMES_PER_REQUEST)
    for (let shard = 0; shard < SHARDS; shard++)
      await post(
        `${url}/api/v1/write`,
        writeBody(seed, { shard, timesMs: times.slice(first, first + TIMES_PER_REQUEST) }),
      );
  await post(`${url}/api/v1/admin/compact`);
  const all = times.length * SHARDS * SERIES_PER_SHARD;
  const whole = await readAll(url, endMs);
  if (whole.found !== all || whole.wrong > 0 || whole.isWarned)
    throw new Error(`Before any flip: ${JSON.stringify(whole)} where ${all} samples were written`);

  const blocksDir = join(dataDir, "blocks");
  const files = readdirSync(blocksDir, { recursive: true, encoding: "utf8" })
    .map((name) => join(blocksDir, name))
    .filter((path) => statSync(path).isFile());
  console.log(`seed ${seed}: ${all} samples in ${files.length} files of ${readdirSync(blocksDir).length} blocks`);
  let [flipped, wrong, silent, detected, harmless] = [0, 0, 0, 0, 0];
  while (flipped < Number(flags.flips)) {
    const flips = Array.from({ length: FLIPS_PER_ROUND }, () => randomFlip(files));
    for (const flip of flips) apply(flip);
    flipped += flips.length;
    const answer = await readAll(url, endMs);
    wrong += answer.wrong;
    if (answer.isWarned || answer.status !== 200) detected++;
    else if (answer.found < all) silent += all - answer.found;
    else harmless++;
    for (const flip of flips.toReversed()) apply(flip);
  }
  const after = await readAll(url, endMs);
  const isWholeAgain = after.found === all && after.wrong === 0;
  await program.stop("SIGTERM");
  const verdicts = verifyNotices(dataDir, files);
  console.log(
    `${flipped} flips, ${wrong} wrong samples, ${silent} silently missing; rounds of ${FLIPS_PER_ROUND}: ` +
      `${detected} noticed, ${harmless} harmless; afterwards ${isWholeAgain ? "whole" : JSON.stringify(after)}; ${verdicts.text}`,
  );
  return wrong === 0 && silent === 0 && detected > 0 && isWholeAgain && verdicts.isRight ? 0 : 1;
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

/** Flips a bit; once more puts it back. */
function apply({ file, offset, mask }: Flip): void {
  const fd = openSync(file, "r+");
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
    apply(flip);
    const { status, text } = verify(dataDir);
    if (status === 3 && flip.file.split("/").some((part) => part.length === 26 && text.includes(part))) noticed++;
    apply(flip);
  }
  return { isRight: noticed === tried, text: `verify noticed ${noticed} of ${tried}` };
}

function verify(dataDir: string): { readonly status: number | null; readonly text: string } {
  const binary = fileURLToPath(new URL("../../bin/tsdb.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [binary, "verify", "--data-dir", dataDir], {
    encoding: "utf8",
  });
  return { status, text: stdout + stderr };
}

async function post(url: string, body?: Uint8Array): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    ...(body && {
      body: new Uint8Array(body),
      headers: { "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy" },
    }),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}
