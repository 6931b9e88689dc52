/**
 * Which blocks are past the retention: by age, by the bytes of all data, by their share of the volume. Each limit stands
 * for itself; the oldest blocks go first, and a block goes as a whole.
 *
 * Age is counted from the clock or from the newest sample, whichever is older: a clock that jumps ahead, or one sample from
 * the future, deletes nothing.
 */
import type { BlockMeta } from "../block/meta.ts";

export interface RetentionLimits {
  /** undefined: no limit. */
  readonly ageMs: number | undefined;
  readonly sizeBytesMax: number | undefined;
  /** Of the volume, for all data; 0 < percent <= 100. */
  readonly volumePercentMax: number | undefined;
}

/** What the limits are held against. */
export interface RetentionState {
  readonly nowMs: number;
  /** undefined: there is none, and nothing is old. */
  readonly newestSampleMs: number | undefined;
  /** Log, head chunk files and whatever else of the data is not in blocks. */
  readonly otherBytes: number;
  readonly volumeBytes: number;
}

export interface SizedBlock {
  readonly meta: BlockMeta;
  readonly sizeBytes: number;
}

export interface ExpiredBlock {
  readonly ulid: string;
  readonly reason: "age" | "size";
}

/** Samples before this time are past the retention; -Infinity when none are. */
export const retentionCutoffMs = (
  { ageMs }: Pick<RetentionLimits, "ageMs">,
  { nowMs, newestSampleMs }: Pick<RetentionState, "nowMs" | "newestSampleMs">,
): number =>
  ageMs === undefined || newestSampleMs === undefined
    ? Number.NEGATIVE_INFINITY
    : Math.min(nowMs, newestSampleMs) - ageMs;

/** The blocks to remove, the oldest first. */
export function expiredBlocks(
  blocks: readonly SizedBlock[],
  limits: RetentionLimits,
  state: RetentionState,
): ExpiredBlock[] {
  const cutoffMs = retentionCutoffMs(limits, state);
  const bytesMax = Math.min(
    limits.sizeBytesMax ?? Number.POSITIVE_INFINITY,
    limits.volumePercentMax === undefined
      ? Number.POSITIVE_INFINITY
      : (state.volumeBytes * limits.volumePercentMax) / 100,
  );
  const newestFirst = blocks.toSorted((a, b) => b.meta.maxTime - a.meta.maxTime || b.meta.minTime - a.meta.minTime);
  const expired: ExpiredBlock[] = [];
  let bytes = state.otherBytes;
  let isFull = false;
  for (const { meta, sizeBytes } of newestFirst) {
    bytes += sizeBytes;
    // What is older than a block that does not fit does not fit either, however small it is.
    isFull ||= bytes > bytesMax;
    if (meta.maxTime <= cutoffMs) expired.push({ ulid: meta.ulid, reason: "age" });
    else if (isFull) expired.push({ ulid: meta.ulid, reason: "size" });
  }
  return expired.reverse();
}
