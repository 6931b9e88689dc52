/**
 * The whole log, read segment by segment in order: what is in it, where it ends, what is lost.
 *
 * A segment is synced before its successor's first write, or else the successor begins with every record that is not known
 * to be durable, under its old sequence. Hence, with `next` the sequence that is expected:
 *
 *   a segment begins at or below next      nothing is missing, however its predecessor ends
 *   a segment begins above next            what is in between was durable and is gone: a loss
 *   the last one is damaged                a loss, when a whole record behind the damage says "synced up to" next or more;
 *                                          else what a power cut leaves: a torn tail, which nobody was promised
 *
 * Reading changes nothing on disk; what should be changed is listed (repair.ts does it). After the repairs the log reads
 * the same, without damage, and a further reading finds nothing to repair.
 */
import { join } from "node:path/posix";
import { TsdbError } from "../../base/errors.ts";
import type { Vfs } from "../../base/vfs.ts";
import {
  decodeMark,
  RECORD_DELETES,
  RECORD_MARK,
  RECORD_SAMPLES,
  SEGMENT_HEADER_BYTES,
  segmentIndexOf,
  segmentName,
  SKIPPABLE_TYPE_BIT,
  WAL_VERSION,
} from "./format.ts";
import { type RecordBuffer, SegmentReader, type WalRecord } from "./reader.ts";

/** "senseless": it contradicts what came before it. "no-room": not applied, nothing changed. */
export type Applied = "applied" | "senseless" | "no-room";

/** What is done with the records of the log as they are read. */
export interface LogVisitor {
  /** Where segments are read to. */
  readonly buffer: RecordBuffer;
  /** Once, before anything is read. */
  beginLog(total: { readonly segments: number; readonly bytes: number }): void;
  /** Symbols and series of the segment before mean nothing in this one. */
  beginSegment(index: number): void;
  /** A record of samples or deletes, in the buffer that its reader has by now. */
  apply(record: WalRecord, buffer: RecordBuffer): Applied;
  /** A mark, for those whom it tells something. */
  mark?(mark: Mark): void;
  /** A record found no room: once this resolves it is applied again. */
  makeRoom(durable: number): Promise<void>;
  /** After each piece that was read and applied. @param durable all up to this sequence is durable */
  afterPiece(bytes: number, durable: number): Promise<void>;
  endSegment(index: number, sizeBytes: number): void;
}

/** Records that were durable once and are gone. */
export interface Loss {
  readonly index: number;
  readonly offsetBytes: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly reason: string;
}

/** What a mark says (RECORD_MARK). */
export interface Mark {
  readonly sequence: number;
  readonly firstLost: number | undefined;
}

/** What the log needs so that it reads well the next time; to be done in this order. */
export type Repair = { readonly index: number; readonly reason: string } & (
  | { readonly kind: "remove" }
  /** Move it to the quarantine. */
  | { readonly kind: "set-aside" }
  /** Keep a copy of it in the quarantine. */
  | { readonly kind: "copy-aside" }
  /** Write its first `keepBytes` (a fresh header for 0) to a fresh file, a mark behind them, and put that in its place. */
  | { readonly kind: "renew"; readonly keepBytes: number; readonly mark: Mark }
);

export interface LogSummary {
  readonly records: number;
  /** Highest sequence that is used up, by records or by losses; 0 for an empty log. */
  readonly lastSequence: number;
  readonly losses: readonly Loss[];
  readonly repairs: readonly Repair[];
  /** In order. */
  readonly segments: readonly Segment[];
  /** No segment has this index or a higher one. */
  readonly nextIndex: number;
}

/** Indexes of the segments in the directory, ascending; other files are none of ours. */
export async function listSegments(vfs: Vfs, dir: string): Promise<number[]> {
  return (await vfs.list(dir)).map(segmentIndexOf).filter((index) => index !== undefined);
}

/** @throws TsdbError FORMAT_TOO_NEW; and what the file system throws */
export async function readLog(vfs: Vfs, dir: string, visitor: LogVisitor): Promise<LogSummary> {
  const indexes = await listSegments(vfs, dir);
  const open = <T>(index: number, use: (reader: SegmentReader) => Promise<T>): Promise<T> =>
    withReader(vfs, join(dir, segmentName(index)), visitor.buffer, use);
  let bytes = 0;
  for (const index of indexes) bytes += await open(index, async (reader) => reader.sizeBytes);
  visitor.beginLog({ segments: indexes.length, bytes });
  const walk = new LogWalk(dir, visitor, indexes[0] === 1);
  for (const index of indexes) await open(index, (reader) => walk.read(index, reader));
  for (const segment of walk.damagedEnds()) {
    await open(segment.index, (reader) => walk.lookBeyond(segment, reader));
  }
  return { ...walk.result(), nextIndex: (indexes.at(-1) ?? 0) + 1 };
}

async function withReader<T>(
  vfs: Vfs,
  path: string,
  buffer: RecordBuffer,
  use: (reader: SegmentReader) => Promise<T>,
): Promise<T> {
  const reader = await SegmentReader.open(vfs, path, buffer);
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

/** A segment as far as it was read. */
export interface Segment {
  readonly index: number;
  readonly sizeBytes: number;
  /** Behind the last record that was applied. */
  readonly endBytes: number;
  /** Of the last record; undefined when there is none. */
  readonly lastSequence: number | undefined;
  readonly isMarked: boolean;
  /** Why it ends before its file does. */
  readonly damage: string | undefined;
  /** The record at its end is whole but makes no sense: that is not what a power cut leaves. */
  readonly isContradiction: boolean;
  /** The file is another segment's: nothing of it was read. */
  readonly isMisnamed: boolean;
  /** Begins as a segment does, or has not even room for a header. */
  readonly isOurs: boolean;
}

const isUsed = ({ lastSequence, isMarked }: Segment): boolean => lastSequence !== undefined || isMarked;

class LogWalk {
  readonly #dir: string;
  readonly #visitor: LogVisitor;
  /** Retention has taken nothing: the log begins with sequence 1. */
  readonly #isWhole: boolean;
  readonly #segments: Segment[] = [];
  readonly #losses: (Loss & { readonly after: Segment | undefined })[] = [];
  /** Damaged segments in which something was lost. */
  readonly #lossy = new Set<Segment>();
  #records = 0;
  /** Index of the segment that is being read, or was last. */
  #present = 0;
  /** The sequence expected next; undefined when any may come. */
  #next: number | undefined;
  #durable = 0;
  /** Highest sequence that was lost behind the last record that was read. */
  #lostInTail = 0;

  constructor(dir: string, visitor: LogVisitor, isWhole: boolean) {
    this.#dir = dir;
    this.#visitor = visitor;
    this.#isWhole = isWhole;
    if (isWhole) this.#next = 1;
  }

  async read(index: number, reader: SegmentReader): Promise<void> {
    this.#present = index;
    const { header } = reader;
    const path = join(this.#dir, segmentName(index));
    // A damaged header alone costs nothing: each record has a checksum of its own.
    if (header.kind === "too-new") throw tooNew(path, `version ${header.version} of the format`);
    const segment = { index, lastSequence: undefined as number | undefined, isMarked: false, isContradiction: false };
    const isMisnamed = header.kind === "valid" && header.index !== index;
    this.#visitor.beginSegment(index);
    let bytes = 0;
    const progress = async (): Promise<void> => {
      const piece = reader.offsetBytes - bytes;
      bytes += piece;
      await this.#visitor.afterPiece(piece, this.#durable);
    };
    for (;;) {
      if (isMisnamed || !(await reader.fill())) break;
      for (let record = reader.next(); record; record = reader.next()) {
        if (record.type === RECORD_MARK) {
          segment.isMarked = true;
          this.#visitor.mark?.(decodeMark(record, reader.buffer.bytes));
          this.#advance(record.sequence, record.sequence);
          continue;
        }
        if (!(await this.#apply(record, reader, path))) {
          reader.reject(record, "its content contradicts the records before it");
          segment.isContradiction = true;
          break;
        }
        if (segment.lastSequence === undefined) this.#beginAt(record.sequence);
        segment.lastSequence = record.sequence;
        this.#records++;
        this.#advance(record.sequence, record.syncedUpTo);
      }
      await progress();
    }
    await this.#visitor.afterPiece(reader.sizeBytes - bytes, this.#durable);
    this.#visitor.endSegment(index, reader.sizeBytes);
    const damage = isMisnamed ? `its header says that it is segment ${header.index}` : reader.damage?.reason;
    const isOurs = header.kind === "valid" || reader.sizeBytes <= SEGMENT_HEADER_BYTES;
    const { sizeBytes } = reader;
    this.#segments.push({ ...segment, sizeBytes, endBytes: reader.offsetBytes, damage, isMisnamed, isOurs });
  }

  async #apply(record: WalRecord, reader: SegmentReader, path: string): Promise<boolean> {
    if ((record.type & SKIPPABLE_TYPE_BIT) !== 0) return true;
    if (record.type !== RECORD_SAMPLES && record.type !== RECORD_DELETES)
      throw tooNew(path, `records of type ${record.type}`);
    for (;;) {
      const applied = this.#visitor.apply(record, reader.buffer);
      if (applied !== "no-room") return applied === "applied";
      await this.#visitor.makeRoom(this.#durable);
    }
  }

  #advance(sequence: number, durable: number): void {
    this.#next = Math.max(this.#next ?? 0, sequence + 1);
    this.#durable = Math.max(this.#durable, durable);
  }

  /** The present segment begins with this sequence. */
  #beginAt(sequence: number): void {
    if (this.#next !== undefined && sequence > this.#next) this.#lose(this.#next, sequence - 1);
    this.#durable = Math.max(this.#durable, sequence - 1);
  }

  /** Sequences between the last record that was read and what is known to come behind it. */
  #lose(firstSequence: number, lastSequence: number): void {
    const after = this.#segments.findLast(isUsed);
    const since = this.#segments.slice(after === undefined ? 0 : this.#segments.indexOf(after));
    for (const segment of since) if (segment.damage !== undefined) this.#lossy.add(segment);
    const lost = { firstSequence, lastSequence, after };
    const broken = since.find((segment) => segment.damage !== undefined || !isUsed(segment));
    const missing = this.#missingIndex(after);
    if (broken !== undefined && (missing === undefined || broken.index < missing)) {
      const { index, endBytes: offsetBytes, damage: reason = "it has no records" } = broken;
      this.#losses.push({ index, offsetBytes, reason, ...lost });
    } else if (missing !== undefined) {
      this.#losses.push({ index: missing, offsetBytes: 0, reason: "the segment is missing", ...lost });
    } else {
      const { index, endBytes: offsetBytes } = after ?? { index: this.#present, endBytes: 0 };
      this.#losses.push({ index, offsetBytes, reason: "records are missing", ...lost });
    }
  }

  /** The first index behind a segment, up to the present one, that no file has. */
  #missingIndex(after: Segment | undefined): number | undefined {
    if (after === undefined) return undefined;
    const there = new Set(this.#segments.map(({ index }) => index)).add(this.#present);
    for (let index = after.index + 1; index < this.#present; index++) if (!there.has(index)) return index;
    return undefined;
  }

  /** Damaged segments that no later record, or no earlier one, tells the loss of. */
  damagedEnds(): Segment[] {
    const isUnread = ({ damage, isMisnamed }: Segment): boolean => damage !== undefined && !isMisnamed;
    const first = this.#isWhole ? 0 : this.#segments.findIndex(isUsed);
    const last = this.#segments.findLastIndex(isUsed);
    return this.#segments.filter((segment, i) => (i < first || i >= last) && isUnread(segment));
  }

  async lookBeyond(segment: Segment, reader: SegmentReader): Promise<void> {
    const first = this.#isWhole ? 0 : this.#segments.findIndex(isUsed);
    const next = this.#next ?? 1;
    if (this.#segments.indexOf(segment) < first) {
      // The log begins with a segment that cannot be read: what came before it is not known.
      const { firstSequence, lastSequence } = await reader.findBeyond(segment.endBytes, 0);
      if (firstSequence >= next) return;
      const { index, endBytes: offsetBytes, damage } = segment;
      const lost = { firstSequence, lastSequence: Math.min(lastSequence, next - 1) };
      this.#losses.push({ index, offsetBytes, ...lost, reason: damage!, after: undefined });
      this.#lossy.add(segment);
      return;
    }
    const { lastSequence, syncedUpTo } = await reader.findBeyond(segment.endBytes, next - 1);
    const claimed = segment.isContradiction ? lastSequence : syncedUpTo;
    if (claimed >= next) this.#lostInTail = Math.max(this.#lostInTail, lastSequence, syncedUpTo);
  }

  result(): Omit<LogSummary, "nextIndex"> {
    const next = this.#next ?? 1;
    if (this.#lostInTail >= next) this.#lose(next, this.#lostInTail);
    const lastSequence = Math.max(next - 1, this.#lostInTail);
    const repairs = this.#segments.flatMap((segment) => this.#repairsOf(segment));
    return { records: this.#records, lastSequence, losses: this.#losses, repairs, segments: this.#segments };
  }

  #repairsOf(segment: Segment): Repair[] {
    const { index, endBytes, damage, lastSequence, isMarked, isMisnamed, isOurs } = segment;
    if (isMisnamed) return [{ kind: "set-aside", index, reason: damage! }];
    const isLossy = this.#lossy.has(segment);
    // The mark of a loss stands where the log breaks off; if nothing is left before that, in the segment that was lost.
    const loss = this.#losses.find(({ after, index: lost }) =>
      after === undefined ? lost === index : after === segment,
    );
    if (!isUsed(segment) && loss === undefined) {
      const isWorthless = isOurs && !isLossy;
      return [{ kind: isWorthless ? "remove" : "set-aside", index, reason: damage ?? "it has no records" }];
    }
    // Nothing proves that the newest records are on disk: after a failed fsync they may be in the cache alone.
    const isUnproven = segment === this.#segments.findLast(isUsed) && !isMarked;
    if (loss === undefined && damage === undefined && !isUnproven) return [];
    const reason =
      damage ?? (loss === undefined ? "its last records may not be on disk" : "records behind it are lost");
    const mark =
      loss === undefined
        ? { sequence: lastSequence ?? 0, firstLost: undefined }
        : { sequence: loss.lastSequence, firstLost: loss.firstSequence };
    const keepBytes = isUsed(segment) ? endBytes : 0;
    const renew: Repair = { kind: "renew", index, keepBytes, mark, reason };
    return isLossy ? [{ kind: "copy-aside", index, reason }, renew] : [renew];
  }
}

const tooNew = (path: string, what: string): TsdbError =>
  new TsdbError("FORMAT_TOO_NEW", `${path} has ${what}; this version reads version ${WAL_VERSION}`, {
    remedy: "Start a version of tsdb that is at least as new as the one that wrote it",
  });
