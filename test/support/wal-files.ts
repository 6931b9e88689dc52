/** WAL segments made by hand on a disk in memory, and a visitor that only notes what it is shown. */
import { join } from "node:path/posix";
import type { Vfs } from "../../src/base/vfs.ts";
import { encodeRecord, encodeSegmentHeader, RECORD_SAMPLES, segmentName } from "../../src/tsdb/wal/format.ts";
import type { Applied, LogVisitor } from "../../src/tsdb/wal/log.ts";
import { plainBuffer, type RecordBuffer, type WalRecord } from "../../src/tsdb/wal/reader.ts";

export const LOG_DIR = "/wal";

export interface MadeRecord {
  readonly sequence: number;
  readonly syncedUpTo?: number;
  readonly dataBytes?: number;
  readonly type?: number;
}

/** Data are bytes that differ from record to record. */
export const recordBytes = ({
  sequence,
  syncedUpTo = 0,
  dataBytes = 40,
  type = RECORD_SAMPLES,
}: MadeRecord): Uint8Array =>
  encodeRecord(
    type,
    sequence,
    syncedUpTo,
    Uint8Array.from({ length: dataBytes }, (_, i) => (sequence * 31 + i) & 0xff),
  );

export const segmentBytes = (index: number, records: readonly MadeRecord[]): Uint8Array =>
  Uint8Array.from([encodeSegmentHeader(index), ...records.map(recordBytes)].flatMap((part) => [...part]));

export async function putFile(vfs: Vfs, path: string, bytes: Uint8Array): Promise<void> {
  const file = await vfs.open(path, (await vfs.exists(path)) ? "write" : "create");
  await file.truncate(0);
  await file.write(bytes, 0);
  await file.sync();
  await file.close();
  await vfs.syncDir(path.slice(0, path.lastIndexOf("/")));
}

export async function readFile(vfs: Vfs, path: string): Promise<Uint8Array> {
  const file = await vfs.open(path, "read");
  try {
    const bytes = new Uint8Array(await file.sizeBytes());
    await file.read(bytes, 0);
    return bytes;
  } finally {
    await file.close();
  }
}

export const putSegment = (vfs: Vfs, index: number, bytes: Uint8Array): Promise<void> =>
  putFile(vfs, join(LOG_DIR, segmentName(index)), bytes);

export class NotingVisitor implements LogVisitor {
  readonly buffer: RecordBuffer = plainBuffer(64 * 1024);
  readonly sequences: number[] = [];
  durable = 0;
  bytes = 0;
  total = { segments: 0, bytes: 0 };
  /** What is answered to a record. */
  answer: (record: WalRecord) => Applied = () => "applied";

  beginLog(total: { readonly segments: number; readonly bytes: number }): void {
    this.total = total;
  }
  beginSegment(): void {}
  endSegment(): void {}
  apply(record: WalRecord): Applied {
    const answer = this.answer(record);
    if (answer === "applied") this.sequences.push(record.sequence);
    return answer;
  }
  async makeRoom(): Promise<void> {
    this.answer = () => "applied";
  }
  async afterPiece(bytes: number, durable: number): Promise<void> {
    this.bytes += bytes;
    this.durable = durable;
  }
}
