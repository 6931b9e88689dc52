/** Work that writes as much as it reads asks for the space first: half a block on a full disk helps nobody. */
import { TsdbError } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";

/**
 * @param what it is for, as in "merge 3 blocks"
 * @throws TsdbError NO_SPACE
 */
export async function ensureSpace(
  vfs: Vfs,
  dir: string,
  { neededBytes, reserveBytes, what }: { neededBytes: number; reserveBytes: number; what: string },
): Promise<void> {
  const { freeBytes } = await vfs.space(dir);
  if (freeBytes >= neededBytes + reserveBytes) return;
  throw new TsdbError(
    "NO_SPACE",
    `Cannot ${what}: this may write ${megabytes(neededBytes)}, and ${megabytes(freeBytes)} are free, ` +
      `of which ${megabytes(reserveBytes)} are kept in reserve`,
    { remedy: "Free space on the volume of the data directory, enlarge it, or shorten the retention" },
  );
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
