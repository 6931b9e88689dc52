/**
 * What a log holds, segment by segment, and what is wrong with it. It is read as replay reads it (log.ts), so the verdict is
 * the one that the next start comes to; nothing is changed.
 */
import type { Vfs } from "../../base/vfs.ts";
import { type Applied, type LogSummary, type Loss, type Mark, readLog, type Repair } from "./log.ts";
import { plainBuffer, type RecordBuffer, type SegmentDamage, type WalRecord } from "./reader.ts";
import { type RecordContents, SegmentContents } from "./segment-contents.ts";

export interface SegmentReport {
  readonly index: number;
  readonly sizeBytes: number;
  readonly records: number;
  /** undefined without records, as all that follows from them. */
  readonly firstSequence: number | undefined;
  readonly lastSequence: number | undefined;
  /** Declared in it; a segment declares each series that it names. */
  readonly series: number;
  readonly samples: number;
  readonly mint: number | undefined;
  readonly maxt: number | undefined;
  /** The segment was closed in order, or repaired: nothing can follow. */
  readonly mark: Mark | undefined;
  /** Why it ends before its file does. */
  readonly damage: SegmentDamage | undefined;
  /** Which costs nothing by itself: each record has a checksum. */
  readonly isHeaderDamaged: boolean;
}

export interface LogReport {
  readonly segments: readonly SegmentReport[];
  /** What was durable once and is gone, told by this reading. */
  readonly losses: readonly Loss[];
  /** What the next start will do to the log. */
  readonly repairs: readonly Repair[];
  readonly lastSequence: number;
}

export interface InspectLogOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  /** Called between pieces. @throws to stop */
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** @throws TsdbError FORMAT_TOO_NEW; and what the file system and `onProgress` throw */
export async function inspectLog({ vfs, dir, onProgress }: InspectLogOptions): Promise<LogReport> {
  let tally = new SegmentTally();
  const tallies = new Map<number, SegmentTally>();
  let doneBytes = 0;
  let totalBytes = 0;
  const summary = await readLog(vfs, dir, {
    buffer: plainBuffer(),
    beginLog: ({ bytes }) => void (totalBytes = bytes),
    beginSegment: (index) => void tallies.set(index, (tally = new SegmentTally())),
    apply: (record, buffer) => tally.add(record, buffer),
    mark: (mark) => tally.mark(mark),
    makeRoom: async () => undefined,
    async afterPiece(bytes) {
      doneBytes += bytes;
      onProgress(doneBytes, totalBytes);
    },
    endSegment: () => undefined,
  });
  return {
    segments: summary.segments.map((segment) => reportOf(segment, tallies.get(segment.index)!)),
    losses: summary.losses,
    repairs: summary.repairs,
    lastSequence: summary.lastSequence,
  };
}

function reportOf(segment: LogSummary["segments"][number], tally: SegmentTally): SegmentReport {
  const { index, sizeBytes, endBytes, damage, lastSequence, isOurs } = segment;
  const { records, firstSequence, series, samples, mint, maxt, lastMark } = tally;
  return {
    index,
    sizeBytes,
    records,
    firstSequence,
    lastSequence,
    series,
    samples,
    mint: samples > 0 ? mint : undefined,
    maxt: samples > 0 ? maxt : undefined,
    mark: lastMark,
    damage: damage === undefined ? undefined : { offsetBytes: endBytes, reason: damage },
    isHeaderDamaged: !isOurs,
  };
}

class SegmentTally {
  records = 0;
  firstSequence: number | undefined;
  samples = 0;
  mint = Number.POSITIVE_INFINITY;
  maxt = Number.NEGATIVE_INFINITY;
  lastMark: Mark | undefined;
  readonly #contents = new SegmentContents();

  get series(): number {
    return this.#contents.series.size;
  }

  add(record: WalRecord, buffer: RecordBuffer): Applied {
    const contents: RecordContents | undefined = this.#contents.read(record, buffer);
    if (contents === undefined) return "senseless";
    this.records++;
    this.firstSequence ??= record.sequence;
    this.samples += contents.samples;
    this.mint = Math.min(this.mint, contents.mint);
    this.maxt = Math.max(this.maxt, contents.maxt);
    return "applied";
  }

  mark(mark: Mark): void {
    this.lastMark = mark;
  }
}
