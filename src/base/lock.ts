/**
 * The lock on a data directory: one process at a time, whatever way it ends.
 *
 * Node has no flock, so an SQLite transaction on `<dir>/lock` stands in for it: BEGIN EXCLUSIVE takes the file locks of
 * SQLite's unix VFS, the kernel frees them when the process dies, SIGKILL included. Nothing is ever written to the file.
 * Who holds it is told by `<dir>/lock.owner`, which is only ever shown, never believed: it outlives a crash.
 *
 * These are POSIX record locks, which a process loses when it closes *any* descriptor of the file: nothing in this process
 * may open `<dir>/lock` (a backup must skip it).
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { errnoOf, messageOf, TsdbError } from "./errors.ts";

export interface DataDirLock {
  /** Idempotent. */
  release(): void;
}

const SQLITE_BUSY = 5;

/** A database that nothing refers to is collected, closed, and its lock is gone: whoever forgot the lock still holds it. */
const heldLocks = new Set<DatabaseSync>();

/**
 * Creates the directory if it is missing and takes its lock, or fails at once.
 * @throws TsdbError DATA_DIR_LOCKED when another process (or database in this one) holds it; IO when the directory
 * cannot be created or written to
 */
export function acquireDataDirLock(dir: string): DataDirLock {
  const ownerFile = join(dir, "lock.owner");
  let lock: DatabaseSync | undefined;
  try {
    makeDir(dir);
    // SQLite would say no more than that it cannot open the file.
    accessSync(dir, constants.W_OK | constants.X_OK);
    lock = new DatabaseSync(join(dir, "lock"), { timeout: 0 });
    lock.exec("BEGIN EXCLUSIVE");
    // Also shows now, and not at the first write, that the directory is writable.
    writeFileSync(ownerFile, `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}\n`, {
      mode: 0o640,
    });
  } catch (thrown) {
    lock?.close();
    if ((thrown as { errcode?: unknown }).errcode === SQLITE_BUSY) throw lockedError(dir, ownerFile, thrown);
    throw unusableError(dir, thrown);
  }
  const held = lock;
  heldLocks.add(held);
  let released = false;
  return {
    release() {
      if (released) return;
      released = true;
      rmSync(ownerFile, { force: true });
      held.close();
      heldLocks.delete(held);
    },
  };
}

/**
 * Creates a directory and its missing parents. Node's own `recursive` never returns where a parent exists and refuses
 * entries with ENOENT, as /proc does.
 */
function makeDir(dir: string): void {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return;
  try {
    mkdirSync(dir, { mode: 0o750 });
  } catch (thrown) {
    // Another process that starts at the same moment may have been faster.
    if (errnoOf(thrown) === "EEXIST" && statSync(dir).isDirectory()) return;
    if (errnoOf(thrown) !== "ENOENT" || dirname(dir) === dir || existsSync(dirname(dir))) throw thrown;
    makeDir(dirname(dir));
    makeDir(dir);
  }
}

function lockedError(dir: string, ownerFile: string, cause: unknown): TsdbError {
  let owner = "another process";
  try {
    owner = readFileSync(ownerFile, "utf8").trim() || owner;
  } catch {
    // Not written yet, or already removed: the other process is just starting or stopping.
  }
  return new TsdbError("DATA_DIR_LOCKED", `The data directory ${dir} is in use by ${owner}`, {
    remedy: "Stop that process, or give this one a directory of its own with --data-dir",
    cause,
  });
}

function unusableError(dir: string, cause: unknown): TsdbError {
  const reasons: Record<string, string> = {
    ENOENT: "it cannot be created there",
    EACCES: "permission denied",
    EPERM: "not permitted",
    EROFS: "the file system is read-only",
    ENOTDIR: "a part of this path is a file",
    EEXIST: "there is a file of this name",
    ENOSPC: "no space is left on the device",
  };
  const reason = reasons[errnoOf(cause) ?? ""] ?? messageOf(cause);
  return new TsdbError("IO", `Cannot use the data directory ${dir}: ${reason}`, {
    remedy: "Give a directory that this user may create and write to with --data-dir",
    cause,
  });
}
