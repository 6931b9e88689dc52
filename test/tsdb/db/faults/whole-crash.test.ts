/**
 * The whole life of samples, cut off at every operation on the disk: what was acknowledged is there bit for bit, what was
 * deleted is not, nothing half made is left after a start, and a second start changes nothing.
 */
import { expect, test, vi } from "vitest";
import { messageOf } from "../../../../src/base/errors.ts";
import type { Known } from "../../../support/database-run.ts";
import { Random, seedFromEnv } from "../../../support/random.ts";
import { crashPoints } from "../../../support/vfs/crash.ts";
import type { MemoryVfs } from "../../../support/vfs/memory.ts";
import { isExhaustive, TIMEOUT_MS } from "./exhaustive.ts";
import { treeOf } from "./trial.ts";
import { type Begin, beginnings, newRun, SERIES, temporaries } from "./whole-life.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

const WAYS = [undefined, 0, 0.5, 1] as const;
/** So many points of each part, others with each seed, each cut in one of the ways. */
const POINTS_PER_PART = isExhaustive ? Infinity : 3;

interface Point {
  readonly name: string;
  readonly disk: MemoryVfs;
  readonly known: Known;
}

async function pointsOf({ part, disk, known }: Begin): Promise<Point[]> {
  const points: Point[] = [];
  const cut = (name: string): void => void points.push({ name, disk: run.disk.kill(), known: run.known() });
  const run = newRun(known.nowMs, (found) =>
    crashPoints(found, ({ operation, path }) => cut(`before ${operation} ${path}`)),
  );
  await run.find(disk.kill(), known, known.options);
  await part.act(run, (_, what) => what(run));
  await run.settle();
  cut("at the end");
  await run.close();
  return points;
}

async function survives({ disk: found, known }: Point): Promise<void> {
  const run = newRun(known.nowMs);
  await run.find(found, known, { ...known.options, compactionEnabled: false });
  expect(await temporaries(run.disk), "half made").toEqual([]);
  await run.settle();
  run.check();
  await run.write([{ key: SERIES[0]!.key, timeMs: known.nowMs + 1, bits: 3n }]);
  await run.close();
  const tree = await treeOf(run.disk);
  await run.open();
  run.check();
  await run.settle();
  await run.close();
  expect(await treeOf(run.disk), "what a start and an end leave").toEqual(tree);
}

test("whichever operation is the last before a crash, all that was promised is there, and nothing that was deleted", async () => {
  const seed = seedFromEnv();
  let judged = 0;
  for (const begin of await beginnings()) {
    const points = await pointsOf(begin);
    const step = Math.max(1, Math.floor(points.length / POINTS_PER_PART));
    for (let index = seed % step; index < points.length; index += step) {
      const point = points[index]!;
      const keep = WAYS[(judged + seed) % WAYS.length];
      const random = new Random(seed + index);
      const disk = keep === undefined ? point.disk.kill() : point.disk.crash({ keep, random });
      judged++;
      try {
        await survives({ ...point, disk });
      } catch (cause) {
        const where = `${begin.part.name}, point ${index} of ${points.length} (${point.name})`;
        throw new Error(`${where}, ${keep ?? "killed"}, SEED=${seed}: ${messageOf(cause)}`, { cause });
      }
    }
  }
  process.stdout.write(`${judged} crashed disks\n`);
  expect(judged).toBeGreaterThan(30);
});
