/**
 * When the head is flushed, and up to which time. In the order in which they are looked at:
 *
 *   time     a whole range is over: the newest sample is an hour past its end, so hardly anything comes late
 *   memory   the head fills its memory: all but the newest minutes goes; not again before something has come in since
 *   age      late samples, or a log that nothing makes shorter, have waited for hours: a database that gets no samples any
 *            more ends with all of them in blocks
 *
 * Waiting is measured with the monotonic clock, so a wall clock that jumps makes no blocks.
 */
export interface HeadFacts {
  /** Of the oldest sample that may be in order, and of the newest; undefined without samples. */
  readonly minTimeMs: number | undefined;
  readonly maxTimeMs: number | undefined;
  /** Samples before it are in blocks, or late; -Infinity before the first flush. */
  readonly floorMs: number;
  readonly lateRows: number;
  readonly memoryBytes: number;
  readonly memoryBytesMax: number;
  /** After the last flush; 0 before the first. */
  readonly memoryBytesAfterFlush: number;
  /** For how long something has been in the head since the last flush. */
  readonly waitedMs: number;
  /** For how long no newer sample has come. */
  readonly quietMs: number;
}

export interface FlushDecision {
  readonly reason: "time" | "memory" | "age";
  /** Exclusive. */
  readonly beforeMs: number;
}

export const BLOCK_RANGE_MS = 2 * 3_600_000;
/** How long after the end of a range samples of it may still come in order. */
const RANGE_GRACE_MS = BLOCK_RANGE_MS / 2;
const MEMORY_SHARE_MAX = 0.8;
/** What must have come in since the last flush: a head whose series alone fill its memory is not flushed over and over. */
const MEMORY_SHARE_GAINED = 0.1;
/** Series do not report all at the same moment: what is newer than this stays in order. */
const NEWEST_GRACE_MS = 5 * 60_000;
const FLOOR_STEP_MS = 60_000;
const WAIT_MS_MAX = 3 * 3_600_000;
const QUIET_MS = 10 * 60_000;

export function flushDecision(head: HeadFacts): FlushDecision | undefined {
  const { minTimeMs, maxTimeMs, floorMs, lateRows } = head;
  if (minTimeMs === undefined || maxTimeMs === undefined) return undefined;
  const rangeEndMs = Math.floor((maxTimeMs - RANGE_GRACE_MS) / BLOCK_RANGE_MS) * BLOCK_RANGE_MS;
  if (rangeEndMs > floorMs && minTimeMs < rangeEndMs) return { reason: "time", beforeMs: rangeEndMs };

  const share = head.memoryBytes / head.memoryBytesMax;
  const gained = (head.memoryBytes - head.memoryBytesAfterFlush) / head.memoryBytesMax;
  if (share > MEMORY_SHARE_MAX && gained >= MEMORY_SHARE_GAINED) {
    const beforeMs = maxTimeMs - NEWEST_GRACE_MS;
    const isForward = beforeMs >= floorMs + FLOOR_STEP_MS && minTimeMs < beforeMs;
    if (isForward || lateRows > 0) return { reason: "memory", beforeMs: Math.max(beforeMs, floorMs) };
  }

  if (head.waitedMs < WAIT_MS_MAX) return undefined;
  const endMs = head.quietMs >= QUIET_MS ? maxTimeMs + 1 : maxTimeMs - NEWEST_GRACE_MS;
  if (endMs <= floorMs && lateRows === 0) return undefined;
  return { reason: "age", beforeMs: Math.max(endMs, floorMs) };
}

/** What can be cut now without making samples late that are on their way: for who asks for a flush. */
export function completeBefore({ maxTimeMs, floorMs }: Pick<HeadFacts, "maxTimeMs" | "floorMs">): number {
  const endMs = maxTimeMs === undefined ? floorMs : maxTimeMs - RANGE_GRACE_MS;
  return Math.max(floorMs, Math.floor(endMs / BLOCK_RANGE_MS) * BLOCK_RANGE_MS);
}
