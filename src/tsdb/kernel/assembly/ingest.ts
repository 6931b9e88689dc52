/**
 * Ingest: one request from compressed bytes to samples in open chunks and one WAL record. Passes over the whole
 * request, so that the cache misses of independent series overlap instead of queueing:
 *
 *   decode (snappy) → walk → hash labels → touch slots and lines → find or create series
 *     → check, encode, append samples (or add them to the late ones, late.ts)
 *
 * Nothing changes before the walk has accepted the whole request and all the room it may need was made sure of, so a
 * request is never left half done; at worst, series that it is the first to name exist without samples.
 */
import {
  Example,
  EXAMPLES,
  EXAMPLES_MAX,
  header,
  INGEST_MALFORMED,
  INGEST_OVERLOADED,
  INGEST_TOO_LARGE,
  LABELS_PER_SERIES_MAX,
  NO_REF,
  REJECT_COUNTS,
  REJECT_DUPLICATE,
  REJECT_LABEL_COUNT,
  REJECT_LABELS_INVALID,
  REJECT_OUT_OF_ORDER,
  REJECT_REASONS,
  REJECT_SERIES_LIMIT,
  REJECT_TOO_FAR_IN_FUTURE,
  REJECT_TOO_OLD,
  REJECT_UNSUPPORTED,
  SampleRow,
  SEAL_BLOCKS_BUSY_MAX,
  SeriesHot,
  SeriesRow,
  Table,
  TABLE_SERIES,
} from "./layout";
import { appendSample, heapBytesForSamples } from "./append";
import { hasRoomToSeal } from "./chunk";
import { advanceEpoch, hasHeap } from "./heap";
import { canonicalize } from "./labels";
import { addLateSample, lateOf, NO_LATE_LINE } from "./late";
import { coldOf, createSeries, findSeries, hasRoomForSeries, hotOf } from "./series";
import { siphash128 } from "./siphash";
import { snappyDecode, SNAPPY_TOO_LARGE } from "./snappy";
import { walkLabels, walkRequest } from "./walk";
import {
  beginRecord,
  encodeLateSample,
  encodeSample,
  endRecord,
  hasRoomForRecord,
  keepPending,
  RECORD_SAMPLES,
} from "./wal";

const FUTURE_MS: i64 = 600_000;

/** Decodes the request in header.body (`bytes` of snappy) and stores it. @returns 0 or an INGEST_ error */
export function ingestSnappy(bytes: u32, nowMs: f64): i32 {
  const h = header();
  const length = snappyDecode(h.body, bytes, h.decoded, h.decodedBytesMax);
  if (length < 0) return length == SNAPPY_TOO_LARGE ? INGEST_TOO_LARGE : INGEST_MALFORMED;
  return ingest(u32(length), nowMs);
}

/**
 * Stores the decoded request in header.decoded. What became of it stands in the header.
 * @returns 0 or an INGEST_ error
 */
export function ingest(bytes: u32, nowMs: f64): i32 {
  const h = header();
  h.accepted = 0;
  h.duplicates = 0;
  h.exampleCount = 0;
  h.histogramCount = 0;
  memory.fill(REJECT_COUNTS, 0, REJECT_REASONS << 2);
  const walked = walkRequest(bytes);
  if (walked < 0) return walked;
  advanceEpoch();
  if (!admit(bytes)) return INGEST_OVERLOADED;
  h.newestMs = i64(nowMs) + FUTURE_MS;
  h.oldestMs = i64(nowMs) - h.retentionMs;
  hashAndTouch();
  resolveSeries();
  if (!hasHeap(heapBytesForSamples(h.sampleRowCount))) return INGEST_OVERLOADED;
  if (h.walEnabled != 0) beginRecord();
  const stored = storeSamples();
  if (stored != 0) {
    if (h.walEnabled != 0) endRecord(stored, RECORD_SAMPLES);
    else h.walSequence++;
  }
  h.samplesTotal += stored;
  h.duplicatesTotal += h.duplicates;
  h.accepted = stored + h.duplicates;
  return 0;
}

/** Whether everything this request could need is there, its series aside: room for its record and for what it seals. */
function admit(bytes: u32): bool {
  const h = header();
  if (h.sealCount > SEAL_BLOCKS_BUSY_MAX || !hasRoomToSeal(h.sampleRowCount)) return false;
  return h.walEnabled == 0 || hasRoomForRecord(bytes, h.sampleRowCount);
}

@inline
function seriesRow(i: u32): SeriesRow {
  return changetype<SeriesRow>(usize(header().seriesRows) + usize(i) * offsetof<SeriesRow>());
}
@inline
function sampleRow(i: u32): SampleRow {
  return changetype<SampleRow>(usize(header().sampleRows) + usize(i) * offsetof<SampleRow>());
}

function hashAndTouch(): void {
  const h = header();
  const count = h.seriesRowCount;
  for (let i: u32 = 0; i < count; i++) {
    const row = seriesRow(i);
    const hash = changetype<usize>(row) + offsetof<SeriesRow>("hashLow");
    siphash128(h.hashKey0, h.hashKey1, row.labels, row.labelBytes, hash);
  }
  // Loads whose results are only summed up: the processor runs many of these misses at once.
  const root = changetype<Table>(TABLE_SERIES).root;
  const slots = usize(u32(root));
  const mask = u32(root >> 32);
  let sum: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const row = seriesRow(i);
    const slot = load<u64>(slots + (usize(u32(row.hashLow) & mask) << 3));
    row.ref = u32(slot) - 1;
    sum += slot;
  }
  for (let i: u32 = 0; i < count; i++) {
    const row = seriesRow(i);
    if (row.ref != NO_REF) sum += hotOf(row.ref).hashLow;
  }
  for (let i: u32 = 0; i < count; i++) {
    const row = seriesRow(i);
    if (row.ref == NO_REF) continue;
    const tail = hotOf(row.ref).tailCell;
    if (tail != 0) sum += load<u64>(tail);
  }
  h.touched = sum;
}

/** Finds or creates each row's series, or says why not. */
function resolveSeries(): void {
  const h = header();
  for (let i: u32 = 0; i < h.seriesRowCount; i++) {
    const row = seriesRow(i);
    row.ref = NO_REF;
    if (row.histograms != 0) {
      h.histogramCount += row.histograms;
      count(REJECT_UNSUPPORTED, row.histograms);
      example(REJECT_UNSUPPORTED, i, 0, 0, 0);
    }
    if (row.sampleCount == 0) continue;
    const found = row.scattered != 0 ? 0 : findSeries(row.hashLow, row.hashHigh);
    if (found != 0) row.ref = found - 1;
    else resolveUnknown(i, row);
    if (row.rejected != 0) {
      count(row.rejected, row.sampleCount);
      const sample = sampleRow(row.firstSample);
      example(row.rejected, i, sample.timestampMs, sample.value, 0);
    }
  }
}

/** A series that its bytes do not name: new, or its labels came in another form. */
function resolveUnknown(i: u32, row: SeriesRow): void {
  const h = header();
  // Labels with empty values do not count, so a few more than the limit may be looked at.
  const spansMax = min<u32>(h.labelsPerSeriesMax, LABELS_PER_SERIES_MAX) * 2;
  const spans = usize(h.labelScratch);
  const found = walkLabels(row.message, row.messageBytes, spans, spansMax);
  if (found < 0) {
    row.rejected = REJECT_LABELS_INVALID;
    return;
  }
  if (u32(found) > spansMax) {
    row.rejected = REJECT_LABEL_COUNT;
    return;
  }
  const bytes = canonicalize(spans, u32(found), h.canonical);
  if (bytes < 0) {
    row.rejected = u32(-bytes);
    return;
  }
  const hash = changetype<usize>(row) + offsetof<SeriesRow>("hashLow");
  siphash128(h.hashKey0, h.hashKey1, h.canonical, u32(bytes), hash);
  const known = findSeries(row.hashLow, row.hashHigh);
  if (known != 0) {
    row.ref = known - 1;
    return;
  }
  if (refuseByTime(i, row)) return;
  if (!hasRoomForSeries(h.canonical, u32(bytes))) {
    row.rejected = REJECT_SERIES_LIMIT;
    return;
  }
  const ref = h.seriesNext;
  createSeries(ref, h.canonical, u32(bytes), row.hashLow, row.hashHigh);
  row.ref = ref;
}

/** Why a sample is refused whatever its series: a REJECT_ reason, or 0. */
@inline
function timeFault(timestampMs: i64): u32 {
  const h = header();
  if (timestampMs > h.newestMs) return REJECT_TOO_FAR_IN_FUTURE;
  return timestampMs < h.oldestMs ? REJECT_TOO_OLD : 0;
}

/** Refuses a row of which no sample can be stored, so that no series is made for it. @returns whether it did */
function refuseByTime(i: u32, row: SeriesRow): bool {
  const end = row.firstSample + row.sampleCount;
  for (let s = row.firstSample; s < end; s++) if (timeFault(sampleRow(s).timestampMs) == 0) return false;
  for (let s = row.firstSample; s < end; s++) {
    const sample = sampleRow(s);
    refuse(timeFault(sample.timestampMs), i, sample, 0);
  }
  return true;
}

/**
 * Decides about each sample, and stores what stays: into the record, the pending rows and the open chunk, while the
 * series' line is at hand.
 */
function storeSamples(): u32 {
  const h = header();
  let stored: u32 = 0;
  for (let i: u32 = 0; i < h.seriesRowCount; i++) {
    const row = seriesRow(i);
    if (row.ref == NO_REF) continue;
    const ref = row.ref;
    const hot = hotOf(ref);
    const end = row.firstSample + row.sampleCount;
    for (let s = row.firstSample; s < end; s++) {
      const sample = sampleRow(s);
      const timestampMs = sample.timestampMs;
      const value = sample.value;
      const lastTimestampMs = hot.lastTimestampMs;
      let reason = timeFault(timestampMs);
      const isLate = timestampMs <= lastTimestampMs || timestampMs < h.floorMs;
      if (reason == 0 && isLate) {
        reason = judgeLate(hot, ref, timestampMs, value);
        if (reason == IS_STORED) {
          h.duplicates++;
          continue;
        }
      }
      if (reason != 0) {
        refuse(reason, i, sample, lastTimestampMs);
        continue;
      }
      if (h.walEnabled != 0) {
        if (isLate) encodeLateSample(hot, ref, timestampMs, value);
        else encodeSample(hot, ref, timestampMs, value);
        keepPending(ref, timestampMs, value, isLate);
      }
      if (isLate) addLateSample(ref, timestampMs, value);
      else appendSample(hot, ref, timestampMs, value);
      stored++;
    }
  }
  return stored;
}

/** What judgeLate says of a sample that is there already. */
const IS_STORED: u32 = u32.MAX_VALUE;

/** Whether a sample that cannot be appended may be late: 0, a REJECT_ reason, or IS_STORED. */
function judgeLate(hot: SeriesHot, ref: u32, timestampMs: i64, value: u64): u32 {
  const h = header();
  const isNewest = timestampMs == hot.lastTimestampMs;
  if (isNewest) return value == hot.lastValue ? IS_STORED : REJECT_DUPLICATE;
  const late = lateOf(coldOf(ref));
  const newestLateMs = late == NO_LATE_LINE ? i64.MIN_VALUE : late.newestMs;
  if (timestampMs == newestLateMs) return value == late.newestValue ? IS_STORED : REJECT_DUPLICATE;
  // The next sample of a series that lags behind the floor, however far.
  if (timestampMs > max(hot.lastTimestampMs, newestLateMs)) return 0;
  if (h.outOfOrderMs == 0) return REJECT_OUT_OF_ORDER;
  return timestampMs < max(h.maxTimeMs, h.floorMs) - h.outOfOrderMs ? REJECT_TOO_OLD : 0;
}

function refuse(reason: u32, row: u32, sample: SampleRow, lastTimestampMs: i64): void {
  count(reason, 1);
  example(reason, row, sample.timestampMs, sample.value, lastTimestampMs);
}

function count(reason: u32, samples: u32): void {
  const at = REJECT_COUNTS + (usize(reason) << 2);
  store<u32>(at, load<u32>(at) + samples);
}

function example(reason: u32, row: u32, timestampMs: i64, value: u64, lastTimestampMs: i64): void {
  const h = header();
  if (h.exampleCount == EXAMPLES_MAX) return;
  const at = changetype<Example>(EXAMPLES + usize(h.exampleCount) * offsetof<Example>());
  at.reason = reason;
  at.seriesRow = row;
  at.timestampMs = timestampMs;
  at.value = value;
  at.lastTimestampMs = lastTimestampMs;
  h.exampleCount++;
}
