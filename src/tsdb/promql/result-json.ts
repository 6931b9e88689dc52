/**
 * Results as the bytes of Prometheus' API envelope, in pieces, so that a worker hands them on while it prints the rest:
 *   {"status":"success","data":{"resultType":"matrix","result":[{"metric":{...},"values":[[1435781451.781,"1"],...]}]},
 *    "warnings":[...],"infos":[...]}
 * `resultType` comes first, for readers that parse as they go. Values are quoted, because JSON has no infinities or NaN.
 */
import type { LabelSet } from "../model/labels.ts";
import { isAbsent, wordsOf } from "./absent.ts";
import { plainText, valueText } from "./number-text.ts";
import type { QueryResult, QueryValue, SeriesColumn } from "./result.ts";

/** Pieces are about this large: a socket takes them whole, and a slow client holds back no more than this. */
const PIECE_CHARS = 64 * 1024;

/** Of each kind, as Prometheus' API shows at most. */
const ANNOTATIONS_MAX = 10;

/** The whole body, piece by piece, as UTF-8. */
export function* renderJson({ value, warnings, infos }: QueryResult): Generator<Uint8Array<ArrayBuffer>> {
  let text = `{"status":"success","data":{"resultType":"${value.type}","result":`;
  for (const fragment of fragments(value)) {
    text += fragment;
    if (text.length < PIECE_CHARS) continue;
    yield Buffer.from(text);
    text = "";
  }
  text += "}";
  if (warnings.length > 0) text += `,"warnings":${annotationsText(warnings, "warning")}`;
  if (infos.length > 0) text += `,"infos":${annotationsText(infos, "info")}`;
  yield Buffer.from(text + "}");
}

function* fragments(value: QueryValue): Generator<string> {
  switch (value.type) {
    case "matrix":
      yield "[";
      yield* matrixFragments(value.series);
      yield "]";
      return;
    case "vector": {
      const time = secondsText(value.timeMs);
      for (let i = 0; i < value.labels.length; i++) {
        const sample = `[${time},"${valueText(value.values[i]!)}"]`;
        yield `${i === 0 ? "[" : ","}{"metric":${labelsText(value.labels[i]!)},"value":${sample}}`;
      }
      yield value.labels.length === 0 ? "[]" : "]";
      return;
    }
    case "scalar":
      yield `[${value.timeMs / 1000},"${plainText(value.value)}"]`;
      return;
    case "string":
      yield `[${value.timeMs / 1000},${stringText(value.value)}]`;
  }
}

function* matrixFragments(series: readonly SeriesColumn[]): Generator<string> {
  let openings: string[] = [];
  let openingsOf: Float64Array | undefined;
  for (const [s, { labels, times, values }] of series.entries()) {
    // A range query's series share their timestamps, so what stands before each value is printed once for all.
    if (openingsOf !== times) {
      openings = Array.from(times, (timeMs) => `[${secondsText(timeMs)},"`);
      openingsOf = times;
    }
    const words = wordsOf(values);
    let text = `${s === 0 ? "" : ","}{"metric":${labelsText(labels)},"values":[`;
    let separator = "";
    for (let i = 0; i < values.length; i++) {
      if (isAbsent(words, i)) continue;
      text += separator + openings[i]! + valueText(values[i]!) + '"]';
      separator = ",";
      if (text.length < PIECE_CHARS) continue;
      yield text;
      text = "";
    }
    yield text + "]}";
  }
}

/** Seconds with up to three decimals, all three when there are any, as Prometheus prints timestamps. */
export function secondsText(timeMs: number): string {
  const magnitude = Math.abs(timeMs);
  const fraction = magnitude % 1000;
  const text = String(Math.floor(magnitude / 1000)) + (fraction === 0 ? "" : `.${String(fraction).padStart(3, "0")}`);
  return timeMs < 0 ? `-${text}` : text;
}

const labelsText = (labels: LabelSet): string =>
  `{${labels.map(([name, value]) => `${stringText(name)}:${stringText(value)}`).join(",")}}`;

// JSON.stringify writes \b and \f where Go writes \u0008 and \u000c; readers see the same string.
const stringText = (text: string): string => JSON.stringify(text);

function annotationsText(annotations: readonly string[], kind: string): string {
  const shown = annotations.slice(0, ANNOTATIONS_MAX);
  const omitted = annotations.length - shown.length;
  return JSON.stringify(omitted > 0 ? [...shown, `${omitted} more ${kind} annotations omitted`] : shown);
}
