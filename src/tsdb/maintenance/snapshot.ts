/**
 * Copies blocks, and what the head has, to `<data>/snapshots/<name>/`, which an unmodified Prometheus opens. What Prometheus
 * can read as it is gets a second name (a hard link) and takes no space; blocks with packed chunks are written anew. The
 * directory has its name only once all of it is there.
 */
import { join } from "node:path/posix";
import { messageOf, TsdbError } from "../../base/errors.ts";
import { linkOrCopy } from "../../base/link-file.ts";
import { removeTree } from "../../base/remove-tree.ts";
import type { Vfs } from "../../base/vfs.ts";
import { CREATION_SUFFIX, TOMBSTONES_FILE } from "../block/block-files.ts";
import { readBlockMeta } from "../block/block-reader.ts";
import { BlockSource } from "../compact/block-source.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { CHUNK_PACKED } from "../storage.ts";
import {
  blocksDirOf,
  isThere,
  makeDurableDir,
  newUlids,
  sizeOfTree,
  SNAPSHOTS_DIR,
  UNPACKED_FACTOR,
} from "./block-dirs.ts";
import { writeHead } from "./flush.ts";
import type { JobContext } from "./job-context.ts";
import type { JobResults, SnapshotJob } from "./protocol.ts";
import { ensureSpace } from "./space.ts";
import { closeSources, writeMerged } from "./write-merged.ts";

export async function snapshot(job: SnapshotJob, context: JobContext): Promise<JobResults["snapshot"]> {
  const { vfs, dataDir, log, check } = context;
  const { name } = job;
  const snapshotsDir = await makeDurableDir(vfs, dataDir, SNAPSHOTS_DIR);
  const dir = join(snapshotsDir, name);
  if (await isThere(vfs, dir)) throw new TsdbError("BAD_REQUEST", `There is a snapshot named ${name} already`);
  const unfinished = dir + CREATION_SUFFIX;
  // Its blocks are none of the database's.
  const aside = { ...context, naming: () => {} };
  if (await isThere(vfs, unfinished)) await removeTree(vfs, unfinished);
  try {
    await vfs.mkdir(unfinished);
    await copyBlocks(job, unfinished, aside);
    if (job.head !== undefined) await writeHead(job.head, unfinished, aside);
    check();
    await vfs.syncDir(unfinished);
    await vfs.rename(unfinished, dir);
    await vfs.syncDir(snapshotsDir);
  } catch (error) {
    await discard(unfinished, dir, context);
    throw error;
  }
  const sizeBytes = await sizeOfTree(vfs, dir);
  log.info({ operation: "snapshot", dir, blocks: job.ulids.length, bytes: sizeBytes }, "made a snapshot");
  return { name, sizeBytes };
}

async function copyBlocks({ ulids, reserveBytes }: SnapshotJob, into: string, context: JobContext): Promise<void> {
  const { vfs, pause, progress } = context;
  const blocksDir = blocksDirOf(context);
  const packed: string[] = [];
  const plain: string[] = [];
  for (const ulid of ulids) {
    const { manifest } = readBlockMeta(vfs, join(blocksDir, ulid));
    (manifest?.encodings.includes(CHUNK_PACKED) === true ? packed : plain).push(ulid);
  }
  let packedBytes = 0;
  for (const ulid of packed) packedBytes += await sizeOfTree(vfs, join(blocksDir, ulid));
  await ensureSpace(vfs, into, {
    neededBytes: packedBytes * UNPACKED_FACTOR,
    reserveBytes,
    what: "make a snapshot",
  });
  let done = 0;
  const next = async (): Promise<void> => {
    await pause();
    progress({ done: done++, total: ulids.length, unit: "blocks" });
  };
  for (const ulid of plain) {
    await next();
    await linkTree(vfs, join(blocksDir, ulid), join(into, ulid));
  }
  const makeUlid = await newUlids(context, blocksDir);
  for (const ulid of packed) {
    await next();
    await unpack(join(blocksDir, ulid), into, makeUlid(), context);
  }
}

/** Writes a block anew, in chunks that Prometheus reads. */
async function unpack(dir: string, into: string, ulid: string, context: JobContext): Promise<void> {
  const memory = new PrivateMemory(context.module);
  const source = BlockSource.open(context.vfs, dir, memory);
  try {
    const { minTime, maxTime, compaction } = source.block.meta;
    const silent = { ...context, progress: () => {} };
    const block = { blocksDir: into, ulid, minTime, maxTime, compaction, sources: [source], packed: false, memory };
    await writeMerged(silent, block);
  } finally {
    closeSources([source], context.log);
  }
}

/** Gives all files of a directory second names in another, durably. */
async function linkTree(vfs: Vfs, from: string, to: string): Promise<void> {
  await vfs.mkdir(to);
  for (const name of await vfs.list(from)) {
    const source = join(from, name);
    if ((await vfs.stat(source))?.kind === "directory") await linkTree(vfs, source, join(to, name));
    // Half of new tombstones: a delete that was cut off.
    else if (name !== `${TOMBSTONES_FILE}.tmp`) await linkOrCopy(vfs, source, join(to, name));
  }
  await vfs.syncDir(to);
}

async function discard(unfinished: string, dir: string, { vfs, log }: JobContext): Promise<void> {
  try {
    // It has its name, and may lose it in a power cut: whoever asked was told that there is none.
    if (await isThere(vfs, dir)) await vfs.rename(dir, unfinished);
    if (await isThere(vfs, unfinished)) await removeTree(vfs, unfinished);
  } catch (error) {
    log.warn(
      { operation: "snapshot", err: error },
      `Cannot remove a snapshot that was not finished; the next start does: ${messageOf(error)}`,
    );
  }
}
