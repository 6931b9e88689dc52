/**
 * Every job on a disk that fails at each of its calls, and cut off at each of them. Whatever happens, a load finds every
 * sample as it was before the job or as it is after it, leaves nothing half made, and a second load finds nothing to do.
 */
import { beforeAll, expect, test, vi } from "vitest";
import { errnoOf, TsdbError } from "../../../src/base/errors.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import type { JobResults, MaintenanceJob } from "../../../src/tsdb/maintenance/protocol.ts";
import { bitsOf, type Sample } from "../../support/columns.ts";
import {
  BLOCKS_DIR,
  DATA_DIR,
  dirOf,
  dirsOf,
  readBlocks,
  runnerOn,
  sorted,
  writePlainBlock,
  type PlainSeries,
} from "../../support/maintenance.ts";
import { seedFromEnv } from "../../support/random.ts";
import { crashAtEvery } from "../../support/vfs/crash.ts";
import { allFaults, forEachFault } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

vi.setConfig({ testTimeout: 300_000 });

const samples = (from: number, count: number, value: number): Sample[] =>
  Array.from({ length: count }, (_, i) => ({ timeMs: from + 10 * i, value: bitsOf(value + i) }));
const series = (name: string, from: number, value: number, deleted: PlainSeries["deleted"] = []): PlainSeries => ({
  labels: [["__name__", name]],
  chunks: [samples(from, 5, value), samples(from + 50, 4, value)],
  deleted,
});

let disk: MemoryVfs;
let ulids: string[];
let before: ReturnType<typeof sorted>;
beforeAll(async () => {
  disk = new MemoryVfs();
  ulids = [
    await writePlainBlock(disk, 1, [series("a", 0, 0), series("b", 0, 100, [[20, 60]])]),
    await writePlainBlock(disk, 2, [series("a", 45, 1000), series("c", 200, 7)]),
  ];
  for (const dir of [DATA_DIR, BLOCKS_DIR]) await disk.syncDir(dir);
  await disk.syncDir("/");
  before = sorted(readBlocks(disk, ulids.map(dirOf)));
});

const SNAPSHOT_DIR = `${DATA_DIR}/snapshots/now`;

interface Loaded {
  readonly state: ReturnType<typeof sorted>;
  readonly result: JobResults["load"];
  /** What the snapshot holds; undefined: there is none. */
  readonly snapshot: ReturnType<typeof sorted> | undefined;
}

/** Loads, twice, and says what there is then. */
async function load(found: MemoryVfs): Promise<Loaded> {
  const result = await runnerOn(found).run({ kind: "load" });
  const names = await treeOf(found, DATA_DIR);
  expect(names.filter((name) => name.includes(".tmp"))).toEqual([]);
  expect(found.openPaths, "files left open").toEqual([]);
  const again = await runnerOn(found).run({ kind: "load" });
  expect(again).toEqual(result);
  expect(await treeOf(found, DATA_DIR)).toEqual(names);
  const snapshot = (await found.exists(SNAPSHOT_DIR))
    ? sorted(
        readBlocks(
          found,
          (await found.list(SNAPSHOT_DIR)).map((name) => `${SNAPSHOT_DIR}/${name}`),
        ),
      )
    : undefined;
  return { state: sorted(readBlocks(found, dirsOf(result.blocks))), result, snapshot };
}

async function treeOf(vfs: Vfs, dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of await vfs.list(dir)) {
    const path = `${dir}/${name}`;
    names.push(path);
    if ((await vfs.stat(path))?.kind === "directory") names.push(...(await treeOf(vfs, path)));
  }
  return names;
}

interface Case {
  readonly name: string;
  readonly job: () => MaintenanceJob;
  /** Judges what a load finds; `isDone` when the job said so. */
  readonly judge: (loaded: Loaded, isDone: boolean) => void;
}

const without = (mint: number, maxt: number) =>
  before
    .map(([name, list]) => [name, list.filter(([time]) => time < mint || time > maxt)] as const)
    .filter(([, list]) => list.length > 0);
const cases: readonly Case[] = [
  {
    name: "a merge",
    job: () => ({ kind: "compact", sources: ulids, packed: true, reserveBytes: 0 }),
    judge({ state, result }, isDone) {
      expect(state).toEqual(before);
      expect(result.quarantined).toEqual([]);
      const found = result.blocks.map(({ meta }) => meta.ulid);
      if (isDone) expect(found.length).toBe(1);
      // The sources or the merged block, never both, and never a part.
      else if (found.length > 1) expect(found).toEqual(ulids);
    },
  },
  {
    name: "a delete",
    job: () => ({ kind: "delete", ulids, selectors: ["a", "c"], mint: 30, maxt: 70, isDryRun: false }),
    judge({ state, result }, isDone) {
      expect(result.blocks.map(({ meta }) => meta.ulid)).toEqual(ulids);
      const after = before.map(([name, list]) =>
        name === "b" ? [name, list] : without(30, 70).find(([other]) => other === name)!,
      );
      // Each block by itself: a crash between them leaves the second as it was, whose samples then count.
      if (isDone) expect(state).toEqual(after);
      else
        for (const [name, list] of after)
          expect(state.find(([other]) => other === name)![1]).toEqual(
            expect.arrayContaining(list as unknown[]) as unknown,
          );
    },
  },
  {
    name: "a removal",
    job: () => ({ kind: "remove", ulids: [ulids[1]!] }),
    judge({ state, result }, isDone) {
      expect(result.quarantined).toEqual([]);
      const isGone = result.blocks.length === 1;
      if (isDone) expect(isGone).toBe(true);
      expect(state).toEqual(isGone ? sorted(readBlocks(disk, [dirOf(ulids[0]!)])) : before);
    },
  },
  {
    name: "a quarantine",
    job: () => ({ kind: "quarantine", ulid: ulids[0]!, reason: "a test" }),
    judge({ state, result }, isDone) {
      const isAside = result.quarantined.length === 1;
      if (isDone) expect(isAside).toBe(true);
      expect(state).toEqual(isAside ? sorted(readBlocks(disk, [dirOf(ulids[1]!)])) : before);
      if (isAside) expect(result.quarantined[0]).toMatchObject({ ulid: ulids[0], minTime: 0, maxTime: 81 });
    },
  },
  {
    name: "a snapshot",
    job: () => ({ kind: "snapshot", name: "now", ulids, head: undefined, reserveBytes: 0 }),
    judge({ state, result, snapshot }, isDone) {
      expect(state).toEqual(before);
      expect(result.quarantined).toEqual([]);
      if (isDone || snapshot !== undefined) expect(snapshot).toEqual(before);
    },
  },
  {
    name: "a load",
    job: () => ({ kind: "load" }),
    judge({ state, result }) {
      // A block that the disk could not read is set aside whole, with its reason.
      for (const { reason } of result.quarantined) expect(reason).toContain("the disk cannot read it");
      expect(
        [...result.blocks.map(({ meta }) => meta.ulid), ...result.quarantined.map(({ ulid }) => ulid)].sort(),
      ).toEqual(ulids);
      if (result.quarantined.length === 0) expect(state).toEqual(before);
    },
  },
];

/** No job tells one errno from another, but that reads fail where blocks are read. */
const faults = allFaults.filter(({ errno, short }) => errno === "EIO" || short === true);

const isExpected = (error: unknown): boolean => error instanceof TsdbError || errnoOf(error) !== undefined;

for (const { name, job, judge } of cases) {
  test(`${name} on a disk that fails at every call loses nothing and leaves nothing half made`, async () => {
    const met = await forEachFault({ faults, disk: () => disk.kill() }, async (vfs, found) => {
      const isDone = await runnerOn(vfs)
        .run(job())
        .then(
          () => true,
          (error: unknown) => {
            expect(isExpected(error), String(error)).toBe(true);
            return false;
          },
        );
      vfs.heal();
      expect(found.openPaths, "files left open").toEqual([]);
      judge(await load(found), isDone);
    });
    expect(met).toBeGreaterThan(10);
  });

  test(`${name} that is cut off at every call loses nothing and leaves nothing half made`, async () => {
    let isDone = false;
    const judged = await crashAtEvery({
      seed: seedFromEnv(),
      disk: disk.kill(),
      run: async (vfs) => {
        await runnerOn(vfs).run(job());
        isDone = true;
      },
      known: () => isDone,
      verify: async (found, wasDone) => judge(await load(found), wasDone),
    });
    expect(judged).toBeGreaterThan(3);
  });
}

for (const { name, job, judge } of cases)
  test(`${name} can be stopped at any of its looks, and leaves nothing half made`, async () => {
    let isDone = false;
    for (let looks = 0; !isDone; looks++) {
      const found = disk.kill();
      let left = looks;
      const signal = {
        get aborted() {
          return left-- <= 0;
        },
        addEventListener() {},
      } as unknown as AbortSignal;
      try {
        await runnerOn(found).run(job(), { signal });
        isDone = true;
      } catch (error) {
        expect(error).toMatchObject({ code: "CANCELED" });
      }
      expect((await treeOf(found, DATA_DIR)).filter((path) => path.includes(".tmp"))).toEqual([]);
      judge(await load(found), isDone);
    }
  });
