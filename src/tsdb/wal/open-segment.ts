/** A segment that is being written: from its creation, after which nothing but records follows. */
import { join } from "node:path/posix";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { encodeSegmentHeader, segmentName } from "./format.ts";
import type { SegmentList } from "./segments.ts";

export interface OpenSegment {
  readonly index: number;
  readonly file: VfsFile;
  sizeBytes: number;
  /** Bytes of records, without what declares symbols and series. */
  sampleBytes: number;
}

interface SegmentPlace {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly index: number;
  /** Told of the segment, and of what is left of it when it cannot be made. */
  readonly segments: SegmentList;
}

/** Resolves when the segment's header and its name are on disk. */
export async function createSegment({ vfs, dir, index, segments }: SegmentPlace): Promise<OpenSegment> {
  const path = join(dir, segmentName(index));
  const header = encodeSegmentHeader(index);
  const file = await vfs.open(path, "create");
  segments.note(index, header.byteLength, Number.NEGATIVE_INFINITY, 0);
  try {
    await file.write(header, 0);
    await file.sync();
    await vfs.syncDir(dir);
    return { index, file, sizeBytes: header.byteLength, sampleBytes: 0 };
  } catch (thrown) {
    await file.close().catch(() => undefined);
    // Without records it says nothing; a further attempt takes the next index, so it is only litter. Litter that cannot be
    // removed goes with the segments before it: the first of all, left alone, would read as the beginning of a log.
    await vfs.remove(path).then(
      () => segments.replace(index, undefined),
      () => undefined,
    );
    throw thrown;
  }
}
