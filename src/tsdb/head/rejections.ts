/**
 * What a write request was refused for, in words. The kernel counts samples by reason and keeps the first few as
 * examples, which point into the decoded request; both are read here right after ingest, before the next request comes.
 */
import { formatLabelSet, type LabelPair } from "../model/labels.ts";
import type { Rejection, RejectReason } from "../storage.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";

/** By the kernel's number (assembly/layout.ts, REJECT_); 0 is "accepted". */
export const REJECT_REASONS: readonly (RejectReason | undefined)[] = [
  undefined,
  "out_of_order",
  "duplicate",
  "too_far_in_future",
  "too_old",
  "labels_invalid",
  "label_count",
  "label_name_length",
  "label_value_length",
  "series_limit",
  "unsupported",
];

export interface RejectionContext {
  readonly labelsPerSeriesMax: number;
  readonly labelNameBytesMax: number;
  readonly labelValueBytesMax: number;
}

/** Longest label set that a message repeats. */
const LABELS_SHOWN_MAX = 300;

export function readRejections(memory: HeadMemory, limits: RejectionContext): Rejection[] {
  const { at } = memory;
  const examples = readExamples(memory, limits);
  const rejections: Rejection[] = [];
  for (let code = 1; code < REJECT_REASONS.length; code++) {
    const count = memory.u32(at.REJECT_COUNTS + code * 4);
    if (count === 0) continue;
    const reason = REJECT_REASONS[code]!;
    rejections.push({ reason, count, examples: examples.get(code) ?? [] });
  }
  return rejections;
}

function readExamples(memory: HeadMemory, limits: RejectionContext): Map<number, string[]> {
  const { at } = memory;
  const byReason = new Map<number, string[]>();
  const count = memory.u32(at.H_EXAMPLE_COUNT);
  for (let i = 0; i < count; i++) {
    const example = at.EXAMPLES + i * at.EXAMPLE_SIZE;
    const code = memory.u32(example + at.EXAMPLE_REASON);
    const row = memory.u32(at.H_SERIES_ROWS) + memory.u32(example + at.EXAMPLE_SERIES_ROW) * at.SERIES_ROW_SIZE;
    const message = memory.u32(row + at.SERIES_ROW_MESSAGE);
    const messageBytes = memory.u32(row + at.SERIES_ROW_MESSAGE_BYTES);
    const series = describeSeries(memory.slice(message, messageBytes));
    const sentence = describe(REJECT_REASONS[code]!, {
      series,
      time: new Date(memory.i64(example + at.EXAMPLE_TIMESTAMP_MS)),
      value: memory.f64(example + at.EXAMPLE_VALUE),
      newest: new Date(memory.i64(example + at.EXAMPLE_LAST_TIMESTAMP_MS)),
      limits,
    });
    const sentences = byReason.get(code);
    if (sentences === undefined) byReason.set(code, [sentence]);
    else sentences.push(sentence);
  }
  return byReason;
}

interface ExampleFacts {
  readonly series: string;
  readonly time: Date;
  readonly value: number;
  readonly newest: Date;
  readonly limits: RejectionContext;
}

function describe(reason: RejectReason, { series, time, value, newest, limits }: ExampleFacts): string {
  switch (reason) {
    case "out_of_order":
      return `${series}: sample at ${iso(time)} is older than the series' newest at ${iso(newest)}`;
    case "duplicate":
      return `${series}: sample at ${iso(time)} has value ${value}, another value is stored for that time`;
    case "too_far_in_future":
      return `${series}: sample at ${iso(time)} is more than 10 minutes ahead of this server's clock`;
    case "too_old":
      return `${series}: sample at ${iso(time)} is older than the retention, or older than storage.out_of_order_window allows`;
    case "labels_invalid":
      return `${series}: labels must have a __name__, unique non-empty names, and be valid UTF-8`;
    case "label_count":
      return `${series}: more than ${limits.labelsPerSeriesMax} labels (limits.max_labels_per_series)`;
    case "label_name_length":
      return `${series}: a label name is longer than ${limits.labelNameBytesMax} bytes (limits.max_label_name_length)`;
    case "label_value_length":
      return `${series}: a label value is longer than ${limits.labelValueBytesMax} bytes (limits.max_label_value_length)`;
    case "series_limit":
      return `${series}: the head has reached storage.memtable_size, new series are refused until there is room`;
    case "unsupported":
      return `${series}: native histograms cannot be stored yet`;
  }
}

function iso(time: Date): string {
  return Number.isNaN(time.getTime()) ? "a time outside the calendar" : time.toISOString();
}

/** The labels of a TimeSeries message that the walk has found well-formed; text that is not UTF-8 shows as U+FFFD. */
function describeSeries(message: Uint8Array): string {
  const text = new TextDecoder();
  const pairs: LabelPair[] = [];
  for (const [field, label] of lengthDelimited(message)) {
    if (field !== 1) continue;
    let name = "";
    let value = "";
    for (const [part, bytes] of lengthDelimited(label)) {
      // TextDecoder takes no views of shared memory: slice() copies.
      if (part === 1) name = text.decode(bytes.slice());
      else if (part === 2) value = text.decode(bytes.slice());
    }
    pairs.push([name, value]);
  }
  const shown = formatLabelSet(pairs);
  return shown.length > LABELS_SHOWN_MAX ? `${shown.slice(0, LABELS_SHOWN_MAX)}…` : shown;
}

/** The length-delimited fields of a protobuf message; others are skipped, and a malformed rest ends it. */
function* lengthDelimited(message: Uint8Array): Generator<[field: number, bytes: Uint8Array]> {
  let position = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; position < message.length; scale *= 128) {
      const byte = message[position++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (position < message.length) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === 2) {
      const length = varint();
      if (!(position + length <= message.length)) return;
      yield [Math.floor(tag / 8), message.subarray(position, position + length)];
      position += length;
    } else if (wireType === 0) varint();
    else if (wireType === 1) position += 8;
    else if (wireType === 5) position += 4;
    else return;
  }
}
