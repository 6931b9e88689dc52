/** A segment that is being written: from its creation, after which nothing but records follows. */
import { join } from "node:path/posix";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { encodeSegmentHeader, segmentName } from "./format.ts";

export interface OpenSegment {
  readonly index: number;
  readonly file: VfsFile;
  sizeBytes: number;
  /** Bytes of records, without what declares symbols and series. */
  sampleBytes: number;
}

/** Resolves when the segment's header and its name are on disk. */
export async function createSegment(vfs: Vfs, dir: string, index: number): Promise<OpenSegment> {
  const path = join(dir, segmentName(index));
  const file = await vfs.open(path, "create");
  try {
    const header = encodeSegmentHeader(index);
    await file.write(header, 0);
    await file.sync();
    await vfs.syncDir(dir);
    return { index, file, sizeBytes: header.byteLength, sampleBytes: 0 };
  } catch (thrown) {
    await file.close().catch(() => undefined);
    // Without records it says nothing; a further attempt takes the next index, so it is only litter.
    await vfs.remove(path).catch(() => undefined);
    throw thrown;
  }
}
