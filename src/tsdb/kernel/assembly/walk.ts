/**
 * The walk over a decoded remote write 1.0 request: one pass that checks every length and leaves a SeriesRow per series
 * and a SampleRow per sample. Labels are not looked into: a known series is recognised by the hash of their bytes.
 *   WriteRequest { repeated TimeSeries timeseries = 1; }     TimeSeries { Label labels = 1; Sample samples = 2; ... = 4 histograms }
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
  SeriesRow,
} from "./layout";
import { LabelSpan } from "./labels";

/** A varint was not readable: never a valid address. */
const BAD: usize = 0;

/** The last varint read. A local pair would need an allocation; this lives in the walk's own scratch words. */
@inline
function readVarint(at: usize, end: usize, out: usize): usize {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at >= end) return BAD;
    const byte = u64(load<u8>(at++));
    value |= (byte & 127) << shift;
    if (byte < 128) {
      store<u64>(out, value);
      return at;
    }
  }
  return BAD;
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
  const out = usize(h.chunkScratch);
  let at = usize(h.decoded);
  let seriesCount: u32 = 0;
  h.sampleRowCount = 0;
  h.seriesRowCount = 0;
  while (at < end) {
    const tag = u32(load<u8>(at));
    if (tag != 0x0a) {
      at = readVarint(at, end, out);
      if (at == BAD) return INGEST_MALFORMED;
      const field = load<u64>(out);
      if (field >> 3 == 0 || (field >> 3 == 1 && (field & 7) == 2)) return INGEST_MALFORMED;
      at = skipField(u32(field) & 7, at, end, out);
      if (at == BAD) return INGEST_MALFORMED;
      continue;
    }
    at = readVarint(at + 1, end, out);
    if (at == BAD || load<u64>(out) > u64(end - at)) return INGEST_MALFORMED;
    const messageBytes = u32(load<u64>(out));
    if (seriesCount == h.seriesPerRequestMax) return INGEST_TOO_MANY_SERIES;
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
  const out = usize(h.chunkScratch);
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
    if (tag == 0x0a || tag == 0x12) {
      // Label and sample: one-byte lengths are nearly all there is.
      let length = at + 1 < end ? u32(load<u8>(at, 1)) : 128;
      if (length < 128) at += 2;
      else {
        at = readVarint(at + 1, end, out);
        if (at == BAD || load<u64>(out) > u64(end - at)) return INGEST_MALFORMED;
        length = u32(load<u64>(out));
      }
      if (usize(length) > end - at) return INGEST_MALFORMED;
      if (tag == 0x0a) {
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
    if (at == BAD) return INGEST_MALFORMED;
    const number = load<u64>(out) >> 3;
    const wireType = u32(load<u64>(out)) & 7;
    if (number == 0 || ((number == 1 || number == 2) && wireType == 2)) return INGEST_MALFORMED;
    at = skipField(wireType, at, end, out);
    if (at == BAD) return INGEST_MALFORMED;
    if (number == 4) row.histograms++;
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
    if (tag == 0x09) {
      if (end - at < 8) return false;
      value = load<u64>(at);
      at += 8;
    } else if (tag == 0x10) {
      at = readVarint(at, end, out);
      if (at == BAD) return false;
      timestampMs = load<u64>(out);
    } else {
      at = readVarint(at - 1, end, out);
      if (at == BAD || load<u64>(out) >> 3 == 0) return false;
      at = skipField(u32(load<u64>(out)) & 7, at, end, out);
      if (at == BAD) return false;
    }
  }
  sample.value = value;
  sample.timestampMs = i64(timestampMs);
  return true;
}

/**
 * Finds the labels in a TimeSeries message, in the order they came.
 * @param spans room for spansMax + 1 LabelSpans
 * @returns how many there are, spansMax + 1 when there are more than spansMax, or -1 when a label is malformed
 */
export function walkLabels(message: usize, messageBytes: u32, spans: usize, spansMax: u32): i32 {
  const out = usize(header().chunkScratch);
  const end = message + messageBytes;
  let count: u32 = 0;
  let at = message;
  while (at < end) {
    const tag = u32(load<u8>(at));
    at = readVarint(at, end, out);
    if (at == BAD) return -1;
    const wireType = u32(load<u64>(out)) & 7;
    if (tag != 0x0a) {
      at = skipField(wireType, at, end, out);
      if (at == BAD) return -1;
      continue;
    }
    at = readVarint(at, end, out);
    if (at == BAD || load<u64>(out) > u64(end - at)) return -1;
    const labelEnd = at + usize(load<u64>(out));
    if (count > spansMax) return i32(count);
    const span = changetype<LabelSpan>(spans + usize(count++) * offsetof<LabelSpan>());
    span.nameBytes = 0;
    span.valueBytes = 0;
    while (at < labelEnd) {
      const labelTag = u32(load<u8>(at));
      at = readVarint(at, labelEnd, out);
      if (at == BAD) return -1;
      const labelWireType = u32(load<u64>(out)) & 7;
      if (labelTag != 0x0a && labelTag != 0x12) {
        at = skipField(labelWireType, at, labelEnd, out);
        if (at == BAD) return -1;
        continue;
      }
      at = readVarint(at, labelEnd, out);
      if (at == BAD || load<u64>(out) > u64(labelEnd - at)) return -1;
      const bytes = u32(load<u64>(out));
      if (labelTag == 0x0a) {
        span.name = u32(at);
        span.nameBytes = bytes;
      } else {
        span.value = u32(at);
        span.valueBytes = bytes;
      }
      at += bytes;
    }
  }
  return i32(count);
}
