/**
 * The walk over a decoded remote write 1.0 request: one pass that checks every length and leaves a SeriesRow per series
 * and a SampleRow per sample. Labels are not looked into: a known series is recognised by the hash of their bytes.
 *   WriteRequest { repeated TimeSeries timeseries = 1; }
 *   TimeSeries { Label labels = 1; Sample samples = 2; ... = 4 histograms }
 *   Label { string name = 1; string value = 2; }             Sample { double value = 1; int64 timestamp = 2; }
 * Unknown fields are skipped, as protobuf asks.
 */
import {
  header,
  INGEST_MALFORMED,
  INGEST_TOO_MANY_SAMPLES,
  INGEST_TOO_MANY_SERIES,
  NO_REF,
  SampleRow,
  SERIES_PER_REQUEST_MAX,
  SeriesRow,
} from "./layout";
import { LabelSpan } from "./labels";
import { BAD, readVarint } from "./varint";

/** Field numbers of the messages that matter here, all with wire type 2 unless said otherwise. */
const FIELD_1: u32 = 0x0a;
const FIELD_2: u32 = 0x12;
const FIELD_1_DOUBLE: u32 = 0x09;
const FIELD_2_VARINT: u32 = 0x10;
const HISTOGRAMS: u64 = 4;

/**
 * Whether a field that is not known by its first byte must be refused: number 0 does not exist, tags have 32 bits, and
 * a known field in a longer spelling of its tag, or with another wire type, would be read by other parsers and skipped
 * here.
 */
@inline
function isRefused(tag: u64, knownMax: u64): bool {
  return tag >> 3 <= knownMax || tag >> 32 != 0;
}

/** Skips one field whose tag was read. Groups (wire types 3 and 4) are refused: no sender of ours uses them. */
function skipField(wireType: u32, at: usize, end: usize, out: usize): usize {
  if (wireType == 0) return readVarint(at, end, out);
  if (wireType == 1) return end - at < 8 ? BAD : at + 8;
  if (wireType == 5) return end - at < 4 ? BAD : at + 4;
  if (wireType != 2) return BAD;
  at = readVarint(at, end, out);
  if (at == BAD || load<u64>(out) > u64(end - at)) return BAD;
  return at + usize(load<u64>(out));
}

/**
 * @returns the number of series, or an INGEST_ error; header.seriesRowCount and sampleRowCount are set. Nothing else of
 * the head is touched.
 */
export function walkRequest(bytes: u32): i32 {
  const h = header();
  const end = usize(h.decoded) + bytes;
  const out = usize(h.scratch);
  let at = usize(h.decoded);
  const seriesMax = min<u32>(h.seriesPerRequestMax, SERIES_PER_REQUEST_MAX);
  let seriesCount: u32 = 0;
  h.sampleRowCount = 0;
  h.seriesRowCount = 0;
  while (at < end) {
    const tag = u32(load<u8>(at));
    if (tag != FIELD_1) {
      at = readVarint(at, end, out);
      if (at == BAD || isRefused(load<u64>(out), 1)) return INGEST_MALFORMED;
      at = skipField(u32(load<u64>(out)) & 7, at, end, out);
      if (at == BAD) return INGEST_MALFORMED;
      continue;
    }
    at = readVarint(at + 1, end, out);
    if (at == BAD || load<u64>(out) > u64(end - at)) return INGEST_MALFORMED;
    const messageBytes = u32(load<u64>(out));
    if (seriesCount >= seriesMax) return INGEST_TOO_MANY_SERIES;
    const row = changetype<SeriesRow>(usize(h.seriesRows) + usize(seriesCount) * offsetof<SeriesRow>());
    const result = walkSeries(row, at, messageBytes);
    if (result != 0) return result;
    seriesCount++;
    at += messageBytes;
  }
  h.seriesRowCount = seriesCount;
  return i32(seriesCount);
}

function walkSeries(row: SeriesRow, message: usize, messageBytes: u32): i32 {
  const h = header();
  const end = message + messageBytes;
  const out = usize(h.scratch);
  let samples = h.sampleRowCount;
  row.message = u32(message);
  row.messageBytes = messageBytes;
  row.labels = u32(message);
  row.labelBytes = 0;
  row.firstSample = samples;
  row.ref = NO_REF;
  row.rejected = 0;
  row.scattered = 0;
  row.histograms = 0;
  let labelsEnd: usize = 0;
  let at = message;
  while (at < end) {
    const field = at;
    const tag = u32(load<u8>(at));
    if (tag == FIELD_1 || tag == FIELD_2) {
      // Label and sample: one-byte lengths are nearly all there is.
      let length = at + 1 < end ? u32(load<u8>(at, 1)) : 128;
      if (length < 128) at += 2;
      else {
        at = readVarint(at + 1, end, out);
        if (at == BAD || load<u64>(out) > u64(end - at)) return INGEST_MALFORMED;
        length = u32(load<u64>(out));
      }
      if (usize(length) > end - at) return INGEST_MALFORMED;
      if (tag == FIELD_1) {
        if (labelsEnd == 0) row.labels = u32(field);
        else if (labelsEnd != field) row.scattered = 1;
        at += length;
        labelsEnd = at;
        row.labelBytes = u32(labelsEnd) - row.labels;
      } else {
        if (samples == h.samplesPerRequestMax) return INGEST_TOO_MANY_SAMPLES;
        const sample = changetype<SampleRow>(usize(h.sampleRows) + usize(samples) * offsetof<SampleRow>());
        if (!walkSample(sample, at, at + length, out)) return INGEST_MALFORMED;
        samples++;
        at += length;
      }
      continue;
    }
    at = readVarint(at, end, out);
    if (at == BAD || isRefused(load<u64>(out), 2)) return INGEST_MALFORMED;
    const unknown = load<u64>(out);
    at = skipField(u32(unknown) & 7, at, end, out);
    if (at == BAD) return INGEST_MALFORMED;
    if (unknown >> 3 == HISTOGRAMS) row.histograms++;
  }
  row.sampleCount = samples - row.firstSample;
  h.sampleRowCount = samples;
  return 0;
}

@inline
function walkSample(sample: SampleRow, at: usize, end: usize, out: usize): bool {
  let value: u64 = 0;
  let timestampMs: u64 = 0;
  while (at < end) {
    const tag = u32(load<u8>(at++));
    if (tag == FIELD_1_DOUBLE) {
      if (end - at < 8) return false;
      value = load<u64>(at);
      at += 8;
    } else if (tag == FIELD_2_VARINT) {
      at = readVarint(at, end, out);
      if (at == BAD) return false;
      timestampMs = load<u64>(out);
    } else {
      at = readVarint(at - 1, end, out);
      if (at == BAD || isRefused(load<u64>(out), 2)) return false;
      at = skipField(u32(load<u64>(out)) & 7, at, end, out);
      if (at == BAD) return false;
    }
  }
  sample.value = value;
  sample.timestampMs = i64(timestampMs);
  return true;
}

/**
 * Finds the labels in a TimeSeries message that walkRequest accepted, in the order they came.
 * @param spans room for spansMax + 1 LabelSpans
 * @returns how many there are, spansMax + 1 when there are more than spansMax, or -1 when a label is malformed
 */
export function walkLabels(message: usize, messageBytes: u32, spans: usize, spansMax: u32): i32 {
  const out = usize(header().scratch);
  const end = message + messageBytes;
  let count: u32 = 0;
  let at = message;
  while (at < end && count <= spansMax) {
    at = readVarint(at, end, out);
    if (at == BAD) return -1;
    const tag = load<u64>(out);
    if (tag != FIELD_1) {
      at = skipField(u32(tag) & 7, at, end, out);
      if (at == BAD) return -1;
      continue;
    }
    at = readVarint(at, end, out);
    if (at == BAD || load<u64>(out) > u64(end - at)) return -1;
    const labelEnd = at + usize(load<u64>(out));
    if (!walkLabel(changetype<LabelSpan>(spans + usize(count++) * offsetof<LabelSpan>()), at, labelEnd, out)) return -1;
    at = labelEnd;
  }
  return i32(count);
}

function walkLabel(span: LabelSpan, at: usize, end: usize, out: usize): bool {
  span.nameBytes = 0;
  span.valueBytes = 0;
  while (at < end) {
    const tag = u32(load<u8>(at));
    at = readVarint(at, end, out);
    if (at == BAD) return false;
    if (tag != FIELD_1 && tag != FIELD_2) {
      if (isRefused(load<u64>(out), 2)) return false;
      at = skipField(u32(load<u64>(out)) & 7, at, end, out);
      if (at == BAD) return false;
      continue;
    }
    at = readVarint(at, end, out);
    if (at == BAD || load<u64>(out) > u64(end - at)) return false;
    const bytes = u32(load<u64>(out));
    // As in all of protobuf, the last of repeated single fields counts.
    if (tag == FIELD_1) {
      span.name = u32(at);
      span.nameBytes = bytes;
    } else {
      span.value = u32(at);
      span.valueBytes = bytes;
    }
    at += bytes;
  }
  return true;
}
