/**
 * Samples as lines of text, in either of the exposition formats:
 *
 *   OpenMetrics   times in seconds; `# EOF` ends it, and must be there; comments are HELP, TYPE, UNIT
 *   text format   times in whole ms; any comments, blank lines; `# EOF` may be there
 *
 *   cpu_seconds_total{host="a"} 0.85 1732450000.5 # {trace_id="f00"} 0.85
 *   {"http.requests", code="200"} 17 1732450000
 *
 * Every sample needs its time. Exemplars are counted and left out. What is the same for all samples of a series is parsed
 * once (model/series-text.ts): a series is known by its text.
 * @see https://github.com/prometheus/OpenMetrics, Prometheus model/textparse
 */
import { TsdbError } from "../../base/errors.ts";
import { compareBytes, type LabelSet } from "../model/labels.ts";
import { parseValue, readSeries, skipBlanks, type Fail } from "../model/series-text.ts";

export type ExpositionFormat = "openmetrics" | "text";

/** Takes what is parsed. */
export interface SampleSink {
  /** Called once for each text of a series; equal label sets may come under several. @returns its number */
  series(labels: LabelSet): number;
  sample(series: number, timeMs: number, value: number): void;
}

/** Of the kernel (layout.ts): later and earlier ones cannot be stored. */
const TIME_MS_MAX = 2 ** 53;

const word = /[^ \t]+/y;

export class ExpositionParser {
  readonly #format: ExpositionFormat;
  readonly #sink: SampleSink;
  /** By the text that stands before the value. */
  readonly #known = new Map<string, number>();
  #isEnded = false;
  #samples = 0;
  #exemplars = 0;

  constructor(format: ExpositionFormat, sink: SampleSink) {
    this.#format = format;
    this.#sink = sink;
  }

  get samples(): number {
    return this.#samples;
  }

  get exemplars(): number {
    return this.#exemplars;
  }

  /** @throws TsdbError BAD_REQUEST with the line's number and the column of what is wrong */
  line(text: string, number: number): void {
    const fail = (at: number, message: string): never => {
      throw new TsdbError("BAD_REQUEST", `line ${number}, column ${at + 1}: ${message}`);
    };
    if (this.#isEnded && text !== "") fail(0, "something follows # EOF");
    if (text.startsWith("#")) return this.#comment(text, fail);
    if (/^[ \t]*$/.test(text)) {
      if (this.#format === "openmetrics" && !this.#isEnded) fail(0, "a blank line, which OpenMetrics does not allow");
      return;
    }
    const end = seriesEnd(text);
    const seriesText = text.slice(0, end);
    let series = this.#known.get(seriesText);
    if (series === undefined) {
      series = this.#sink.series(parseSeries(seriesText, fail));
      this.#known.set(seriesText, series);
    }
    const valueAt = skipBlanks(text, end);
    const valueText = takeWord(text, valueAt) ?? fail(valueAt, "expected a value");
    const value = parseValue(valueText) ?? fail(valueAt, "expected a number, NaN, +Inf or -Inf");
    const timeAt = skipBlanks(text, valueAt + valueText.length);
    const timeText = takeWord(text, timeAt);
    if (timeText === undefined || timeText === "#") fail(timeAt, "the sample has no time");
    const timeMs = this.#time(timeText!, timeAt, fail);
    const rest = skipBlanks(text, timeAt + timeText!.length);
    if (rest < text.length) {
      if (this.#format !== "openmetrics" || !/^#[ \t]*\{/.test(text.slice(rest)))
        fail(rest, "expected the end of the line");
      this.#exemplars++;
    }
    this.#sink.sample(series, timeMs, value);
    this.#samples++;
  }

  /** All lines were read. @throws TsdbError BAD_REQUEST when the end of the file is missing */
  end(): void {
    if (this.#isEnded || this.#format === "text") return;
    throw new TsdbError("BAD_REQUEST", "The last line must be # EOF: the file is not whole", {
      remedy: "Files in Prometheus' text format, with times in milliseconds, need --format text",
    });
  }

  #comment(text: string, fail: Fail): void {
    if (text === "# EOF") this.#isEnded = true;
    else if (this.#format === "openmetrics" && !/^# (HELP|TYPE|UNIT) ./.test(text))
      fail(0, "expected # HELP, # TYPE, # UNIT or # EOF: OpenMetrics has no other comments");
  }

  #time(text: string, at: number, fail: Fail): number {
    const isSeconds = this.#format === "openmetrics";
    const timeMs = isSeconds ? millisecondsOf(text) : /^-?\d+$/.test(text) ? Number(text) : undefined;
    if (timeMs === undefined)
      return fail(at, `expected a time in ${isSeconds ? "seconds" : "whole milliseconds"} since 1970`);
    if (Math.abs(timeMs) >= TIME_MS_MAX) fail(at, "the time is out of range");
    return timeMs;
  }
}

/** Behind the name and the labels. */
function seriesEnd(text: string): number {
  const brace = text.indexOf("{");
  const blank = text.indexOf(" ");
  // A brace behind a blank may be an exemplar's; but `name {a="b"} 1` is allowed, too.
  const isPlain = brace < 0 || (blank >= 0 && blank < brace && skipBlanks(text, blank) !== brace);
  if (isPlain) return takeWord(text, 0)?.length ?? 0;
  let at = brace + 1;
  for (; at < text.length && text[at] !== "}"; at++)
    if (text[at] === '"') for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === "\\") at++;
  return Math.min(at + 1, text.length);
}

/** @returns labels in order, without empty values */
function parseSeries(text: string, fail: Fail): LabelSet {
  const { labels, end } = readSeries(text, 0, fail);
  if (end < text.length) fail(end, 'expected a metric name and labels, as in cpu{host="a"}');
  if (!labels.get("__name__")) fail(0, "the sample has no metric name");
  if (labels.has("")) fail(0, "a label has no name");
  return [...labels].filter(([, value]) => value !== "").sort(([a], [b]) => compareBytes(a, b));
}

function takeWord(text: string, at: number): string | undefined {
  word.lastIndex = at;
  return word.exec(text)?.[0];
}

/**
 * Seconds as whole ms, the nearest. By the digits where there are digits: seconds times 1000 in floating point is often a
 * little less than the ms that was meant.
 */
function millisecondsOf(text: string): number | undefined {
  const [, sign, whole = "", fraction = ""] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text) ?? [];
  if (sign === undefined) {
    const seconds = parseValue(text);
    return seconds === undefined || !Number.isFinite(seconds) ? undefined : Math.round(seconds * 1000);
  }
  const ms = Number(whole) * 1000 + Number(fraction.slice(0, 3).padEnd(3, "0")) + (fraction.charAt(3) >= "5" ? 1 : 0);
  return sign === "-" ? 0 - ms : ms;
}
