/**
 * A Vfs whose n-th call fails, once or from then on: the way SQLite tests its I/O. `forEachFault` runs something with its
 * 1st call failing, then its 2nd, and so on until a run makes fewer calls than that.
 *
 * A fault leaves the disk as the system call would: a failed write may have written a first part (`short`), a failed sync
 * makes the file forget what it was to sync (MemoryFile.failSync), a failed close has closed. `exists` has no way to fail
 * and says "no", as the real one does when the system call fails.
 */
import { messageOf } from "../../../src/base/errors.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { type Errno, errnoError } from "./errno.ts";
import { innermost, interceptVfs, type VfsCall, type VfsHook } from "./intercept.ts";
import { MemoryFile, MemoryVfs } from "./memory.ts";

export interface Fault {
  readonly errno: Errno;
  /** Which of the calls that match fails, from 1. */
  readonly call: number;
  readonly lasting: "once" | "from then on";
  /** A failing write writes the first half of its data. */
  readonly short?: boolean;
  /** Which calls count; all when absent. */
  readonly matches?: (call: VfsCall) => boolean;
}

/** Blocks get their names, which are never durable; and none can be taken away again. */
export const lastStep: Fault = {
  errno: "EIO",
  call: 1,
  lasting: "from then on",
  matches: ({ operation, path }) =>
    (operation === "syncDir" && path.endsWith("/blocks")) ||
    (operation === "rename" && /\/blocks\/[0-9A-Z]{26}$/.test(path)),
};

export interface FaultyVfs extends Vfs {
  /** Calls seen so far that match. */
  readonly calls: number;
  /** The calls that failed. */
  readonly failed: readonly VfsCall[];
  /** The disk works again: no further call fails. */
  heal(): void;
}

export function faultyVfs(inner: Vfs, fault: Fault): FaultyVfs {
  let calls = 0;
  let healed = false;
  const failed: VfsCall[] = [];

  const fails = (call: VfsCall): boolean => {
    if (fault.matches && !fault.matches(call)) return false;
    calls++;
    if (healed || (fault.lasting === "once" ? calls !== fault.call : calls < fault.call)) return false;
    failed.push(call);
    return true;
  };
  const failure = (call: VfsCall): Error => errnoError(fault.errno, call.operation, call.path);

  const hook: VfsHook = {
    async async(call, run) {
      if (!fails(call)) return run();
      const { operation, file, write } = call;
      if (operation === "exists") return false as Awaited<ReturnType<typeof run>>;
      if (operation === "close") await file?.close();
      const onDisk = file && innermost(file);
      if (operation === "sync" && onDisk instanceof MemoryFile) onDisk.failSync();
      if (write && fault.short)
        await file?.write(write.data.subarray(0, write.data.byteLength >> 1), write.positionBytes);
      throw failure(call);
    },
    sync(call, run) {
      if (!fails(call)) return run();
      if (call.operation === "close") call.file?.closeSync();
      throw failure(call);
    },
  };
  return Object.defineProperties(interceptVfs(inner, hook), {
    calls: { get: () => calls },
    failed: { value: failed },
    heal: { value: () => void (healed = true) },
  }) as FaultyVfs;
}

/** Every way a disk is made to fail here: each errno that a database meets, once and for good, and writes cut short. */
export const allFaults: readonly Omit<Fault, "call">[] = [
  ...(["EIO", "ENOSPC", "EDQUOT", "EMFILE", "EROFS", "EINTR"] as const).flatMap((errno) => [
    { errno, lasting: "once" } as const,
    { errno, lasting: "from then on" } as const,
  ]),
  { errno: "ENOSPC", lasting: "once", short: true },
  { errno: "ENOSPC", lasting: "from then on", short: true },
];

export const describeFault = (fault: Fault): string =>
  `${fault.errno}${fault.short ? " after half the write" : ""} at call ${fault.call}, ${fault.lasting}`;

/**
 * Runs `run` on a fresh disk with the 1st, the 2nd, ... call failing, until a run ends without having met its fault.
 * @param options.callsMax stops a run that makes ever more calls
 * @returns how many faults were met
 * @throws what `run` throws, named after its fault
 */
export async function forEachFault(
  options: {
    readonly faults?: readonly Omit<Fault, "call">[];
    readonly disk?: () => MemoryVfs;
    readonly callsMax?: number;
  },
  run: (vfs: FaultyVfs, disk: MemoryVfs, fault: Fault) => Promise<void>,
): Promise<number> {
  let met = 0;
  for (const kind of options.faults ?? allFaults)
    for (let call = 1; ; call++) {
      const fault = { ...kind, call };
      if (call > (options.callsMax ?? 10_000)) throw new Error(`No run without a fault up to ${describeFault(fault)}`);
      const disk = options.disk?.() ?? new MemoryVfs();
      const vfs = faultyVfs(disk, fault);
      try {
        await run(vfs, disk, fault);
      } catch (cause) {
        const [first] = vfs.failed;
        const where = first ? `${first.operation} ${first.path}` : "not met";
        throw new Error(`With ${describeFault(fault)} (${where}): ${messageOf(cause)}`, {
          cause,
        });
      }
      if (vfs.failed.length === 0) break;
      met++;
    }
  return met;
}
