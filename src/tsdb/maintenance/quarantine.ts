/**
 * Blocks that are damaged are set aside, whole, with the reason beside: `quarantine/<ulid>/` has what was in the block's
 * directory, and `reason.txt`. Nothing there is ever removed by us.
 */
import { join } from "node:path/posix";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { writeNewFile } from "../../base/replace-file.ts";
import type { Vfs } from "../../base/vfs.ts";
import { META_FILE } from "../block/block-files.ts";
import { type BlockMeta, decodeMeta } from "../block/meta.ts";
import { readWholeBlockFile } from "../index/block-file.ts";
import { isUlid } from "../model/ulid.ts";
import type { MissingRange } from "../storage.ts";
import { blocksDirOf, isThere, listIfThere, makeDurableDir, QUARANTINE_DIR } from "./block-dirs.ts";
import type { JobContext } from "./job-context.ts";
import type { JobOf, JobResults } from "./protocol.ts";

const REASON_FILE = "reason.txt";
const UNKNOWN_REASON = "its reason was not kept";
const ULID_CHARACTERS = 26;

export const quarantine = (
  { ulid, reason }: JobOf<"quarantine">,
  context: JobContext,
): Promise<JobResults["quarantine"]> => moveToQuarantine(context, ulid, reason);

/** Moves a block, durably. That it is out of the way counts more than that its reason is kept: a full disk has no room for it. */
export async function moveToQuarantine(
  context: Pick<JobContext, "vfs" | "dataDir" | "log">,
  ulid: string,
  reason: string,
): Promise<MissingRange> {
  const { vfs, dataDir, log } = context;
  const blocksDir = blocksDirOf(context);
  const quarantineDir = await makeDurableDir(vfs, dataDir, QUARANTINE_DIR);
  const dir = await freeName(vfs, join(quarantineDir, ulid));
  await vfs.rename(join(blocksDir, ulid), dir);
  await vfs.syncDir(quarantineDir);
  await vfs.syncDir(blocksDir);
  log.error(
    { operation: "quarantine", block: ulid, dir, reason },
    "a damaged block was set aside; its samples are missing",
  );
  await writeReason(vfs, dir, reason, log);
  return rangeOf(vfs, dir, ulid, reason);
}

/** Everything that lies in quarantine. */
export async function quarantinedBlocks({
  vfs,
  dataDir,
}: Pick<JobContext, "vfs" | "dataDir">): Promise<MissingRange[]> {
  const quarantineDir = join(dataDir, QUARANTINE_DIR);
  const found: MissingRange[] = [];
  for (const name of await listIfThere(vfs, quarantineDir)) {
    const ulid = name.slice(0, ULID_CHARACTERS);
    if (!isUlid(ulid)) continue;
    const dir = join(quarantineDir, name);
    const reason = readText(vfs, join(dir, REASON_FILE))?.trim();
    found.push(rangeOf(vfs, dir, ulid, reason === undefined || reason === "" ? UNKNOWN_REASON : reason));
  }
  return found;
}

/** A block may come here twice: restored from a backup, and damaged again. */
async function freeName(vfs: Vfs, dir: string): Promise<string> {
  let name = dir;
  for (let n = 2; await isThere(vfs, name); n++) name = `${dir}-${n}`;
  return name;
}

async function writeReason(vfs: Vfs, dir: string, reason: string, log: Logger): Promise<void> {
  const path = join(dir, REASON_FILE);
  try {
    if (await isThere(vfs, path)) await vfs.remove(path);
    await writeNewFile(vfs, path, new TextEncoder().encode(`${reason}\n`));
    await vfs.syncDir(dir);
  } catch (error) {
    log.warn({ operation: "quarantine", err: error }, `Cannot write ${path}: ${messageOf(error)}`);
  }
}

function rangeOf(vfs: Vfs, dir: string, ulid: string, reason: string): MissingRange {
  const meta = readMeta(vfs, dir);
  return {
    ulid,
    minTime: meta?.minTime ?? Number.MIN_SAFE_INTEGER,
    maxTime: meta?.maxTime ?? Number.MAX_SAFE_INTEGER,
    reason,
  };
}

function readMeta(vfs: Vfs, dir: string): BlockMeta | undefined {
  const text = readText(vfs, join(dir, META_FILE));
  try {
    return text === undefined ? undefined : decodeMeta(text);
  } catch {
    return undefined;
  }
}

function readText(vfs: Vfs, path: string): string | undefined {
  try {
    const bytes = readWholeBlockFile(vfs, path);
    return bytes && new TextDecoder().decode(bytes);
  } catch {
    // What is set aside may be unreadable altogether; then nothing is known of it.
    return undefined;
  }
}
