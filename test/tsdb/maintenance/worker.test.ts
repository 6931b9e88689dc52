/** The real worker, in a thread, on a real disk. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { realVfs } from "../../../src/base/vfs.ts";
import { ThreadRunner } from "../../../src/tsdb/maintenance/runner-threads.ts";
import { bitsOf } from "../../support/columns.ts";
import { kernel, openDatabase, series, write } from "../../support/database.ts";
import { readBlocks, sorted } from "../../support/maintenance.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

test("a thread flushes the head of another, merges what it wrote, and verifies it", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "tsdb-maintenance-"));
  mkdirSync(join(dataDir, "blocks"));
  const runner = new ThreadRunner({
    entry: new URL("../../../src/tsdb/maintenance/worker.ts", import.meta.url),
    module: kernel,
    dataDir,
    concurrency: 1,
    heapMegabytesMax: 256,
    stopGraceMs: 10_000,
    idleMsMax: 60_000,
    clock: systemClock,
    log: silentLogger,
  });
  onTestFinished(async () => {
    await runner.close();
    rmSync(dataDir, { recursive: true });
  });
  const database = await openDatabase(new MemoryVfs());
  await write(database, [series("up", [[NOW_MS - 7_200_001, 1]]), series("down", [[NOW_MS - 5, 2]])]);
  await write(database, [series("up", [[NOW_MS - 1, 3]])]);
  const head = database.attach()!;
  const job = {
    kind: "flush",
    head,
    beforeMs: NOW_MS,
    sequence: 1e9,
    blockRangeMs: 7_200_000,
    reserveBytes: 0,
  } as const;
  const { blocks } = await runner.run<"flush">(job);
  database.detach(head.slot);
  await database.close();
  expect(blocks.length).toBe(2);

  const { block } = await runner.run<"compact">({
    kind: "compact",
    sources: blocks.map(({ meta }) => meta.ulid),
    packed: true,
    reserveBytes: 0,
  });
  const { damages } = await runner.run<"verify">({ kind: "verify", ulid: block!.meta.ulid });
  expect(damages).toEqual([]);
  const loaded = await runner.run<"load">({ kind: "load" });
  expect(loaded.blocks.map(({ meta }) => meta.ulid)).toEqual([block!.meta.ulid]);
  expect(sorted(readBlocks(realVfs, [join(dataDir, "blocks", block!.meta.ulid)]))).toEqual([
    ["down", [[NOW_MS - 5, bitsOf(2)]]],
    [
      "up",
      [
        [NOW_MS - 7_200_001, bitsOf(1)],
        [NOW_MS - 1, bitsOf(3)],
      ],
    ],
  ]);
});
