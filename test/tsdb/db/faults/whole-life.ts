/**
 * The life of samples in parts that a test can cut off or disturb one by one: written and late, flushed, merged, deleted,
 * cleaned, copied in a snapshot, packed, past the retention, and found again after a restart. Every part begins on the disk
 * that the parts before it have left.
 */
import type { ModelSample } from "../../../support/database-model.ts";
import { DatabaseRun, type Known, type RunOptions, runSeries } from "../../../support/database-run.ts";
import { bitsOf } from "../../../support/database.ts";
import { Random } from "../../../support/random.ts";
import type { Vfs } from "../../../../src/base/vfs.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";

const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
/** A boundary of ranges of 2, 6 and 18 hours. */
export const START_MS = Math.floor(Date.UTC(2026, 0, 1) / (18 * HOUR_MS)) * 18 * HOUR_MS;
const STEP_MS = 4 * MINUTE_MS;

export const SERIES = ["a", "b", "lagging"].map((name) =>
  runSeries([
    ["__name__", "m"],
    ["name", name],
  ]),
);
const [A, B, LAGGING] = SERIES.map(({ key }) => key) as [string, string, string];

const OPTIONS: Partial<RunOptions> = {
  segmentBytesMax: 2_000,
  chunkFileBytesMax: 1_500,
  retentionMs: 60 * HOUR_MS,
  outOfOrderWindowMs: 12 * HOUR_MS,
  packed: true,
  // Merges and retention come when a part asks for them.
  compactionIntervalMs: 1_000 * HOUR_MS,
};

export const newRun = (
  startMs: number,
  through?: (disk: MemoryVfs) => Vfs,
  options: Partial<RunOptions> = {},
): DatabaseRun =>
  new DatabaseRun({
    series: SERIES,
    random: new Random(11),
    startMs,
    options: { ...OPTIONS, ...options },
    ...(through && { through }),
  });

const sample = (key: string, timeMs: number): ModelSample => ({
  key,
  timeMs,
  bits: bitsOf(key === B ? Math.sin(timeMs) : (timeMs - START_MS) / STEP_MS),
});

/** Whoever is refused comes again later: the attempts of a part may fail, and `attempt` decides what then. */
export type Attempt = <T>(run: DatabaseRun, what: (run: DatabaseRun) => Promise<T>) => Promise<T | undefined>;

/** Samples in order from the present time on, for so many hours; the lagging series is three hours behind. */
async function write(run: DatabaseRun, attempt: Attempt, hours: number): Promise<void> {
  const STEPS_PER_REQUEST = 15;
  for (let step = 0; step < (hours * HOUR_MS) / STEP_MS; step += STEPS_PER_REQUEST) {
    await run.pass(STEPS_PER_REQUEST * STEP_MS, 4);
    const nowMs = run.clock.nowMs();
    const times = Array.from({ length: STEPS_PER_REQUEST }, (_, i) => nowMs - (STEPS_PER_REQUEST - i) * STEP_MS);
    const samples = [A, B, LAGGING].flatMap((key) =>
      times.map((timeMs) => sample(key, key === LAGGING ? timeMs - 3 * HOUR_MS : timeMs)),
    );
    await attempt(run, () => run.write(samples));
  }
}

export interface Part {
  readonly name: string;
  readonly act: (run: DatabaseRun, attempt: Attempt) => Promise<unknown>;
}

export const PARTS: readonly Part[] = [
  {
    name: "write",
    act: async (run, attempt) => {
      await write(run, attempt, 4);
      // Times of its own, and one that has a value already, which stays.
      const lateMs = run.clock.nowMs() - HOUR_MS + 7;
      await attempt(run, () => run.write([sample(A, lateMs)]));
      await attempt(run, () => run.write([{ key: A, timeMs: run.clock.nowMs() - 45 * STEP_MS, bits: 7n }]));
    },
  },
  {
    name: "flush",
    act: async (run) => {
      await run.pass(MINUTE_MS);
      await run.settle();
    },
  },
  {
    name: "late and flush again",
    act: async (run, attempt) => {
      // Older than what is in blocks, and at a time that a block has.
      await attempt(run, () => run.write([sample(B, START_MS + 3 * HOUR_MS + 11)]));
      await attempt(run, () => run.write([{ key: B, timeMs: START_MS + 3 * HOUR_MS, bits: 9n }]));
      await write(run, attempt, 4);
      await run.settle();
    },
  },
  { name: "merge", act: (run, attempt) => attempt(run, () => run.compact()) },
  {
    name: "delete",
    act: async (run, attempt) => {
      const what = { selector: 'm{name="a"}', keys: [A], mint: START_MS + HOUR_MS, maxt: START_MS + 7 * HOUR_MS };
      await attempt(run, () => run.delete(what.selector, what));
      await attempt(run, () => run.write([{ key: A, timeMs: START_MS + 6 * HOUR_MS + 3, bits: 5n }]));
    },
  },
  { name: "clean", act: (run, attempt) => attempt(run, () => run.cleanTombstones()) },
  { name: "snapshot", act: (run, attempt) => attempt(run, () => run.snapshot()) },
  {
    name: "restart",
    act: async (run, attempt) => {
      await attempt(run, () => run.restart());
    },
  },
  {
    name: "merge to packed blocks",
    act: async (run, attempt) => {
      await write(run, attempt, 8);
      await run.settle();
      await attempt(run, () => run.compact());
    },
  },
  {
    name: "merge to plain blocks",
    act: async (run, attempt) => {
      await attempt(run, () => run.restart({ packed: false }));
      await attempt(run, () =>
        run.delete("m", { keys: [A, B, LAGGING], mint: START_MS + 8 * HOUR_MS, maxt: START_MS + 9 * HOUR_MS }),
      );
      await attempt(run, () => run.cleanTombstones());
    },
  },
  {
    name: "retention",
    act: async (run, attempt) => {
      await attempt(run, () => run.database.admin.setRetention({ ageMs: 5 * HOUR_MS }));
      await run.settle();
    },
  },
];

export interface Begin {
  readonly part: Part;
  readonly disk: MemoryVfs;
  readonly known: Known;
}

/** Each part with the disk that it begins with, after an orderly end of those before it. */
export async function beginnings(): Promise<Begin[]> {
  const begun: Begin[] = [];
  const run = newRun(START_MS + 9 * MINUTE_MS);
  await run.open();
  for (const part of PARTS) {
    await run.restart();
    begun.push({ part, disk: run.disk.kill(), known: run.known() });
    await part.act(run, (_, what) => what(run));
    await run.settle();
    run.check();
  }
  await run.close();
  return begun;
}

/** Names of what is half made or half removed, anywhere below a directory. */
export async function temporaries(disk: MemoryVfs, dir = "/data"): Promise<string[]> {
  const found: string[] = [];
  for (const name of await disk.list(dir)) {
    const path = `${dir}/${name}`;
    if (name.includes("tmp")) found.push(path);
    if ((await disk.stat(path))?.kind === "directory") found.push(...(await temporaries(disk, path)));
  }
  return found;
}
