/**
 * Power cuts at every file operation of a run. The run goes on undisturbed; before each operation, and at the end, the
 * disk is copied together with whatever the test knows at that moment (what was acknowledged), and when the run has ended
 * every copy is crashed in several ways and judged. The moment before an operation is the strictest of those since the
 * last one: the disk is the same, but more may have been acknowledged.
 */
import type { Vfs } from "../../../src/base/vfs.ts";
import { messageOf } from "../../../src/base/errors.ts";
import { Random } from "../random.ts";
import { interceptVfs, type VfsCall, type VfsOperation } from "./intercept.ts";
import { MemoryVfs } from "./memory.ts";

/** The operations that change what a crash leaves. */
const changing: ReadonlySet<VfsOperation> = new Set([
  "open",
  "mkdir",
  "rename",
  "link",
  "remove",
  "removeDir",
  "syncDir",
  "write",
  "sync",
  "truncate",
]);

/** Calls `at` right before every call that can change the disk. */
export function crashPoints(disk: Vfs, at: (call: VfsCall) => void): Vfs {
  return interceptVfs(disk, {
    async(call, run) {
      if (changing.has(call.operation)) at(call);
      return run();
    },
    sync: (_call, run) => run(),
  });
}

export interface CrashRun<Known> {
  readonly seed: number;
  /** The disk to start from; empty when absent. */
  readonly disk?: MemoryVfs;
  readonly run: (vfs: Vfs) => Promise<void>;
  /** A copy of what is known at this moment; called between operations, so it must not be a live object. */
  readonly known: () => Known;
  /** Judges one disk; `cut` is "power" or "process" (killed: nothing is lost). */
  readonly verify: (disk: MemoryVfs, known: Known, cut: "power" | "process") => Promise<void>;
  /** Shares of unsynced sectors and names that survive: all of them are tried at each point. */
  readonly keeps?: readonly number[];
}

/** @returns how many crashed disks were judged */
export async function crashAtEvery<Known>(options: CrashRun<Known>): Promise<number> {
  const { seed, run, known, verify, keeps = [0, 0.5, 1] } = options;
  const disk = options.disk ?? new MemoryVfs();
  const points: { name: string; disk: MemoryVfs; known: Known }[] = [];
  const cutBefore = (name: string): void => void points.push({ name, disk: disk.kill(), known: known() });
  await run(crashPoints(disk, ({ operation, path }) => cutBefore(`before ${operation} ${path}`)));
  cutBefore("at the end");

  let judged = 0;
  for (const [index, point] of points.entries()) {
    const ways = [
      { name: "killed", found: point.disk.kill(), cut: "process" as const },
      ...keeps.map((keep) => ({
        name: `power cut, ${keep * 100} % of what was not synced kept`,
        found: point.disk.crash({ keep, random: new Random(seed + index) }),
        cut: "power" as const,
      })),
    ];
    for (const { name, found, cut } of ways) {
      judged++;
      try {
        await verify(found, point.known, cut);
      } catch (cause) {
        const where = `Point ${index} of ${points.length} (${point.name}), ${name}, SEED=${seed}`;
        throw new Error(`${where}: ${messageOf(cause)}`, { cause });
      }
    }
  }
  return judged;
}
