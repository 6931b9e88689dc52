/** Appending to the head: when a chunk is full, and what the head remembers of each sample. */
import { CHUNK_RANGE_MS, CHUNK_SAMPLES, header, SeriesHot } from "./layout";
import { appendToOpen, sealOpen } from "./chunk";
import { heapBytesForCells } from "./heap";
import { coldOf } from "./series";

/**
 * A first cell, a second one for what runs over, one for the chunk list, and a share of one in limbo. A late sample
 * takes less: its series' LateLine and a cell of rows.
 */
const CELLS_PER_SAMPLE: u64 = 4;

/** What storing `samples` samples can take from the heap. */
export function heapBytesForSamples(samples: u32): u64 {
  return heapBytesForCells(u64(samples) * CELLS_PER_SAMPLE);
}

/** Stores a sample that is newer than all of its series. */
@inline
export function appendSample(hot: SeriesHot, ref: u32, timestampMs: i64, value: u64): void {
  const h = header();
  if (timestampMs < h.rangeStartMs || timestampMs >= h.rangeStartMs + CHUNK_RANGE_MS) {
    // Floor division: times before 1970 belong to the range that starts below them.
    let range = timestampMs / CHUNK_RANGE_MS;
    if (range * CHUNK_RANGE_MS > timestampMs) range--;
    h.rangeStartMs = range * CHUNK_RANGE_MS;
  }
  if (hot.count >= u16(CHUNK_SAMPLES) || (hot.count != 0 && hot.lastTimestampMs < h.rangeStartMs)) {
    sealOpen(hot, coldOf(ref), ref);
  }
  appendToOpen(hot, timestampMs, value, usize(h.scratch));
  if (timestampMs > h.maxTimeMs) h.maxTimeMs = timestampMs;
  if (timestampMs < h.minTimeMs) h.minTimeMs = timestampMs;
}
