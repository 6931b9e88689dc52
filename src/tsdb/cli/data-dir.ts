/** What commands that work on a data directory have in common: where it is, and who may touch it. */
import { Option } from "commander";
import { statSync } from "node:fs";
import { acquireDataDirLock } from "../../base/lock.ts";
import { CommandError, exitCodes } from "./exit.ts";

export const dataDirOption = (): Option =>
  new Option("--data-dir <PATH>", "the data directory").env("TSDB_DATA_DIR").default("./data");

/** @throws CommandError when there is no such directory */
export function mustBeDirectory(path: string, what: string, remedy: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  throw new CommandError(
    exitCodes.failed,
    `${what} ${path} ${found === undefined ? "does not exist" : "is no directory"}`,
    remedy,
  );
}

/** @throws CommandError */
export const mustBeDataDir = (path: string): void =>
  mustBeDirectory(path, "the data directory", "Say where it is with --data-dir or TSDB_DATA_DIR");

/**
 * Holds the lock of a data directory while something is done to it.
 * @param missing what to do when there is none
 * @throws CommandError; TsdbError DATA_DIR_LOCKED while a server has it
 */
export async function withLock<T>(
  dataDir: string,
  missing: "is an error" | "is created",
  use: () => Promise<T>,
): Promise<T> {
  if (missing === "is an error") mustBeDataDir(dataDir);
  const lock = acquireDataDirLock(dataDir);
  try {
    return await use();
  } finally {
    lock.release();
  }
}
