/**
 * One sample as a line of text, in Prometheus' exposition notation:
 *   cpu{host="a"} 0.85           cpu{host="a"} 0.85 1732450000000           {"http.requests", code="200"} 17
 * Label values know the escapes \\ \" and \n; a name in quotes may be any text. The timestamp is ms since the epoch.
 */
import { METRIC_NAME } from "../model/labels.ts";
import { parseValue, readSeries, skipBlanks, type Fail } from "../model/series-text.ts";

export interface SampleLine {
  /** Sorted by name, `__name__` included; not yet checked against the server's limits. */
  readonly labels: readonly { readonly name: string; readonly value: string }[];
  readonly value: number;
  readonly timestampMs: number | undefined;
}

export class SampleLineError extends Error {
  /** Counted from 1, in characters. */
  readonly column: number;
  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

const word = /\S+/y;

/** @throws SampleLineError with the column of what is wrong */
export function parseSampleLine(line: string): SampleLine {
  const fail: Fail = (column, message) => {
    throw new SampleLineError(column + 1, message);
  };
  const { labels, end } = readSeries(line, skipBlanks(line, 0), fail);
  if (!labels.get(METRIC_NAME)) fail(0, 'expected a metric name, as in cpu{host="a"} 0.85');

  const valueAt = skipBlanks(line, end);
  const valueText = takeWord(line, valueAt) ?? fail(valueAt, "expected a value after the series");
  const value = parseValue(valueText) ?? fail(valueAt, "expected a number, NaN, +Inf or -Inf");
  const timestampAt = skipBlanks(line, valueAt + valueText.length);
  const timestamp = takeWord(line, timestampAt);
  if (timestamp !== undefined && !isTimestamp(timestamp))
    fail(timestampAt, "expected a timestamp in whole milliseconds since 1970");
  const rest = skipBlanks(line, timestampAt + (timestamp?.length ?? 0));
  if (rest < line.length) fail(rest, "expected the end of the line");

  return {
    labels: [...labels]
      .map(([label, text]) => ({ name: label, value: text }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    value,
    timestampMs: timestamp === undefined ? undefined : Number(timestamp),
  };
}

function takeWord(line: string, at: number): string | undefined {
  word.lastIndex = at;
  return word.exec(line)?.[0];
}

export const isTimestamp = (text: string): boolean => /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text));
