/** Tombstones: intervals that become one where they touch, and the file that holds them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeTombstones,
  encodeTombstones,
  readTombstones,
  replaceTombstones,
  Tombstones,
} from "../../../src/tsdb/block/tombstones.ts";
import { crashAtEvery } from "../../support/vfs/crash.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const intervals = fc.array(
  fc.record({ series: fc.nat(5), mint: fc.integer({ min: -50, max: 50 }), length: fc.nat(20) }),
);

test("what is deleted is what some interval covers, and intervals are apart and in order", () => {
  fc.assert(
    fc.property(intervals, (given) => {
      const tombstones = new Tombstones();
      for (const { series, mint, length } of given) tombstones.add(series, mint, mint + length);
      for (let series = 0; series <= 5; series++) {
        const found = tombstones.of(series);
        for (let time = -60; time <= 80; time++)
          expect(found.some(({ mint, maxt }) => mint <= time && time <= maxt)).toBe(
            given.some((one) => one.series === series && one.mint <= time && time <= one.mint + one.length),
          );
        for (let i = 1; i < found.length; i++) expect(found[i]!.mint).toBeGreaterThan(found[i - 1]!.maxt + 1);
      }
      expect([...decodeTombstones(encodeTombstones(tombstones))].sort(([a], [b]) => a - b)).toEqual(
        [...tombstones].sort(([a], [b]) => a - b),
      );
    }),
  );
});

test("the file is what Prometheus writes, with the widest times there are, too", () => {
  const tombstones = new Tombstones();
  tombstones.add(300, -1, 64);
  tombstones.add(2, -(2 ** 63), 2 ** 63);
  const bytes = encodeTombstones(tombstones);
  const hex = Buffer.from(bytes).toString("hex");
  const least = "ffffffffffffffffff01";
  const most = "feffffffffffffffff01";
  expect(hex.slice(0, -8)).toBe(`0130ba300102${least}${most}ac02018001`);
  expect([...decodeTombstones(bytes)]).toEqual([
    [2, [{ mint: -(2 ** 63), maxt: 2 ** 63 }]],
    [300, [{ mint: -1, maxt: 64 }]],
  ]);
});

test("a power cut while they are replaced leaves the old ones or the new ones", async () => {
  const disk = new MemoryVfs();
  const old = new Tombstones();
  old.add(1, 0, 10);
  await disk.mkdir("/block");
  await disk.syncDir("/");
  await replaceTombstones(disk, "/block", old);
  const changed = new Tombstones();
  changed.add(1, 0, 20);
  let isReplaced = false;
  await crashAtEvery({
    seed: 1,
    disk,
    run: async (vfs) => {
      await replaceTombstones(vfs, "/block", changed);
      isReplaced = true;
    },
    known: () => isReplaced,
    verify: async (found, isKnown) => {
      const read = [...readTombstones(found, "/block", true)];
      if (isKnown) expect(read).toEqual([...changed]);
      else expect([[...old], [...changed]]).toContainEqual(read);
      // The next replacement gets past what is left of this one.
      await replaceTombstones(found, "/block", old);
      expect([...readTombstones(found, "/block", true)]).toEqual([...old]);
    },
  });
});
