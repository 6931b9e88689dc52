/**
 * The whole life of samples on a disk that fails, once or from some call on, in every way a disk fails: nothing that was
 * acknowledged is lost, nothing that was deleted comes back, and all goes on once the disk does.
 */
import { expect, test, vi } from "vitest";
import { errnoOf, messageOf, TsdbError } from "../../../../src/base/errors.ts";
import { Random, seedFromEnv } from "../../../support/random.ts";
import { allFaults, describeFault, type Fault, faultyVfs } from "../../../support/vfs/faulty.ts";
import type { VfsCall } from "../../../support/vfs/intercept.ts";
import { isExhaustive, TIMEOUT_MS } from "./exhaustive.ts";
import { type Attempt, type Begin, beginnings, newRun, temporaries } from "./whole-life.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

/** So many lives for each part, others with each seed. When all is tried: each call fails, in another way with each seed. */
const LIVES_PER_PART = 2;

/** A block of which the disk does not even read what it is, is set aside, which has tests of its own. */
const isTried = (fault: Fault, { operation, path }: VfsCall): boolean =>
  !(fault.errno === "EIO" && operation === "read" && /^\/data\/blocks\/.*(meta|manifest)\.json$/.test(path));

/** What may be answered when the disk fails; anything else would be a mistake of ours. */
const isFailure = (thrown: unknown): boolean => thrown instanceof TsdbError || errnoOf(thrown) !== undefined;

/** @returns how many calls of the disk there were */
async function live({ part, disk, known }: Begin, fault: Fault): Promise<number> {
  const begun = disk.kill();
  const matches = (call: VfsCall): boolean => isTried(fault, call) && (fault.matches?.(call) ?? true);
  const vfs = faultyVfs(begun, { ...fault, matches });
  const run = newRun(known.nowMs, (found) => (found === begun ? vfs : found));
  const heal = async (): Promise<void> => {
    vfs.heal();
    for (let i = 0; i < 12; i++) await run.pass(10_000, 20);
  };
  // The first who is refused comes again once the disk works.
  const attempt: Attempt = async (_, what) => {
    try {
      return await what(run);
    } catch (thrown) {
      if (!isFailure(thrown)) throw thrown;
      if (run.isOpen) await heal();
      else {
        vfs.heal();
        await run.open();
      }
      return what(run);
    }
  };
  try {
    await run.find(begun, known, known.options);
  } catch (thrown) {
    if (!isFailure(thrown)) throw thrown;
    vfs.heal();
    await run.find(begun, known, known.options);
  }
  await part.act(run, attempt);
  await heal();
  await run.settle();
  expect(run.database.state, "once the disk works again").toBe("writable");
  run.check();
  const mustBeGone = { selector: 'm{name="b"}', keys: run.model.keys.filter((key) => key.includes('"b"')) };
  const newest = run.model.newestMs ?? 0;
  await run.delete(mustBeGone.selector, { ...mustBeGone, mint: newest - 7 * 3_600_000, maxt: newest - 1_800_000 });
  run.check();
  const calls = vfs.calls;
  await run.crash(0);
  run.check();
  await run.settle();
  run.check();
  expect(await temporaries(run.disk), "half made").toEqual([]);
  await run.close();
  return calls;
}

function faultsOf(calls: number, random: Random): Fault[] {
  const failing = isExhaustive
    ? Array.from({ length: calls }, (_, i) => i + 1)
    : Array.from({ length: LIVES_PER_PART }, () => random.between(1, calls));
  return failing.map((call) => ({ ...random.pick(allFaults), call }));
}

test("no failure of the disk loses what was acknowledged or brings back what was deleted", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  let lives = 0;
  const failures: string[] = [];
  for (const begin of await beginnings()) {
    const calls = await live(begin, { errno: "EIO", lasting: "once", call: Infinity });
    for (const fault of faultsOf(calls, random)) {
      lives++;
      try {
        await live(begin, fault);
      } catch (cause) {
        const what = `${begin.part.name}, ${describeFault(fault)} of ${calls}, SEED=${seed}`;
        failures.push(`${what}: ${messageOf(cause)}`);
      }
    }
  }
  process.stdout.write(`${lives} lives with a failing disk\n`);
  expect(failures).toEqual([]);
  expect(lives).toBeGreaterThan(20);
});

test("a block that retention could not remove does not come back without what was deleted meanwhile", async () => {
  const begin = (await beginnings()).find(({ part }) => part.name === "retention")!;
  // It has the name of what is to go, which is never durable.
  const matches = ({ operation, path }: VfsCall): boolean => operation === "syncDir" && path === "/data/blocks";
  expect(await live(begin, { errno: "EIO", lasting: "from then on", call: 1, matches })).toBeGreaterThan(0);
});
