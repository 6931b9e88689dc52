/**
 * What must be left of a damaged log, computed from offsets. Written from docs/format/wal.md alone: it parses the sound
 * log with its own few lines, is told which bytes were harmed, and knows nothing of how the database reads.
 */

/** A record of the sound log. `sequence` of a mark is that up to which all is durable. */
export interface SoundRecord {
  readonly type: number;
  readonly sequence: number;
  readonly syncedUpTo: number;
  readonly start: number;
  readonly end: number;
}

export interface SoundSegment {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly records: readonly SoundRecord[];
}

export const HEADER_BYTES = 24;
export const RECORD_BYTES = 25;
export const TYPE_SAMPLES = 1;
export const TYPE_MARK = 0x82;

export function parseSound(index: number, bytes: Uint8Array): SoundSegment {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: SoundRecord[] = [];
  for (let start = HEADER_BYTES; start < bytes.length;) {
    const end = start + RECORD_BYTES + view.getUint32(start, true);
    records.push({
      type: bytes[start + 4]!,
      sequence: Number(view.getBigUint64(start + 5, true)),
      syncedUpTo: Number(view.getBigUint64(start + 13, true)),
      start,
      end,
    });
    start = end;
  }
  return { index, bytes, records };
}

/** What was done to a segment: some of its bytes are no longer what they were, or no longer there. */
export interface Harm {
  readonly index: number;
  /** Harmed from here ... */
  readonly from: number;
  /** ... up to, not including, here. */
  readonly to: number;
  /** The file ends here, too early for a record; 0 when it is gone. */
  readonly endBytes?: number;
  /** There is no file any more. */
  readonly isGone?: boolean;
}

export interface Loss {
  readonly file: string;
  readonly offsetBytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Expected {
  /** Sequences whose samples must be there, and no others. */
  readonly surviving: readonly number[];
  /** What must be reported. */
  readonly lost: readonly Loss[];
}

/**
 * What is left of a sound log of which one segment was harmed. Records are read up to the first harmed one of each segment,
 * the segment's header being of no consequence. What is missing before a later record is lost, and so is what a whole
 * record behind the harm calls synced. What is missing at the end without such a witness is what a power cut leaves.
 */
export function expectedAfter(log: readonly SoundSegment[], harm: Harm): Expected {
  const surviving: number[] = [];
  const lost: Loss[] = [];
  // A log begins with sequence 1 in its segment 1; without that, retention may have taken what is missing.
  let next = harm.isGone && harm.index === log[0]!.index ? undefined : 1;
  /** Where reading broke off. */
  let brokenAt: Omit<Loss, "first" | "last"> | undefined;
  let beyond: readonly SoundRecord[] = [];
  for (const segment of log) {
    const { records } = segment;
    const file = String(segment.index).padStart(8, "0");
    const isHarmed = segment.index === harm.index;
    const broken = isHarmed ? records.findIndex((record) => record.end > harm.from && record.start < harm.to) : -1;
    const readable = broken < 0 ? records : records.slice(0, broken);
    const first = readable[0]?.sequence;
    if (first !== undefined) {
      if (next !== undefined && first > next) lost.push({ ...brokenAt!, first: next, last: first - 1 });
      beyond = [];
    }
    for (const { type, sequence } of readable) {
      if (type === TYPE_SAMPLES) surviving.push(sequence);
      next = sequence + 1;
    }
    if (broken < 0) continue;
    brokenAt = { file, offsetBytes: harm.endBytes ?? records[broken]!.start };
    beyond = records.filter(({ start }) => start >= harm.to);
  }
  const synced = Math.max(0, ...beyond.map((record) => record.syncedUpTo));
  if (next !== undefined && synced >= next) lost.push({ ...brokenAt!, first: next, last: beyond.at(-1)!.sequence });
  return { surviving, lost };
}
