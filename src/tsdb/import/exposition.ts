/**
 * Samples as lines of text, in either of the exposition formats:
 *
 *   OpenMetrics   times in seconds; `# EOF` ends it, and must be there; comments are HELP, TYPE, UNIT
 *   text format   times in whole ms; any comments, blank lines; `# EOF` may be there
 *
 *   cpu_seconds_total{host="a"} 0.85 1732450000.5 # {trace_id="f00"} 0.85
 *   {"http.requests", code="200"} 17 1732450000
 *
 * Every sample needs its time. Exemplars are counted and left out. Label values know the escapes \\ \" and \n, names in
 * quotes may be any text. What is the same for all samples of a series is parsed once: a series is known by its text.
 * @see https://github.com/prometheus/OpenMetrics, Prometheus model/textparse
 */
import { TsdbError } from "../../base/errors.ts";
import { compareBytes, type LabelSet } from "../model/labels.ts";

export type ExpositionFormat = "openmetrics" | "text";

/** Takes what is parsed. */
export interface SampleSink {
  /** Called once for each text of a series; equal label sets may come under several. @returns its number */
  series(labels: LabelSet): number;
  sample(series: number, timeMs: number, value: number): void;
}

/** Of the kernel (layout.ts): later and earlier ones cannot be stored. */
const TIME_MS_MAX = 2 ** 53;

const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const labelName = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;
const word = /[^ \t]+/y;
const blanks = /[ \t]*/y;

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
    const valueAt = skip(text, end);
    const valueText = takeWord(text, valueAt) ?? fail(valueAt, "expected a value");
    const value = parseNumber(valueText) ?? fail(valueAt, "expected a number, NaN, +Inf or -Inf");
    const timeAt = skip(text, valueAt + valueText.length);
    const timeText = takeWord(text, timeAt);
    if (timeText === undefined || timeText === "#") fail(timeAt, "the sample has no time");
    const timeMs = this.#time(timeText!, timeAt, fail);
    const rest = skip(text, timeAt + timeText!.length);
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

type Fail = (at: number, message: string) => never;

/** Behind the name and the labels. */
function seriesEnd(text: string): number {
  const brace = text.indexOf("{");
  const blank = text.indexOf(" ");
  // A brace behind a blank may be an exemplar's; but `name {a="b"} 1` is allowed, too.
  const isPlain = brace < 0 || (blank >= 0 && blank < brace && skip(text, blank) !== brace);
  if (isPlain) return takeWord(text, 0)?.length ?? 0;
  let at = brace + 1;
  for (; at < text.length && text[at] !== "}"; at++)
    if (text[at] === '"') for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === "\\") at++;
  return Math.min(at + 1, text.length);
}

/** @returns labels in order, without empty values */
function parseSeries(text: string, fail: Fail): LabelSet {
  const labels = new Map<string, string>();
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at += match[0].length;
    return match ?? undefined;
  };
  const takeQuoted = (): string | undefined => {
    const match = take(quoted);
    return match && unescaped(match[1]!);
  };
  const add = (name: string, value: string, column: number): void => {
    if (labels.has(name))
      fail(column, name === "__name__" ? "the metric is named twice" : `label "${name}" is given twice`);
    labels.set(name, value);
  };

  const name = take(metricName);
  if (name) add("__name__", name[0], 0);
  take(blanks);
  if (text[at] === "{") {
    at++;
    for (;;) {
      take(blanks);
      if (text[at] === "}") break;
      const column = at;
      const isQuoted = text[at] === '"';
      const label = takeQuoted() ?? take(labelName)?.[0] ?? fail(at, 'expected a label such as host="a", or }');
      take(blanks);
      if (text[at] === "=") {
        at++;
        take(blanks);
        add(label, takeQuoted() ?? fail(at, `expected the value of label "${label}" in double quotes`), column);
      } else if (isQuoted) add("__name__", label, column);
      else fail(at, `expected = and a value after label "${label}"`);
      take(blanks);
      if (text[at] === ",") at++;
      else if (text[at] !== "}") fail(at, "expected , or }");
    }
    at++;
  }
  if (at < text.length) fail(at, 'expected a metric name and labels, as in cpu{host="a"}');
  if (!labels.get("__name__")) fail(0, "the sample has no metric name");
  if (labels.has("")) fail(0, "a label has no name");
  return [...labels].filter(([, value]) => value !== "").sort(([a], [b]) => compareBytes(a, b));
}

const unescaped = (text: string): string =>
  text.includes("\\")
    ? text.replace(/\\(.)/g, (escape, char: string) => (char === "n" ? "\n" : /["\\]/.test(char) ? char : escape))
    : text;

/** Of the first character at or behind `at` that is no blank. */
function skip(text: string, at: number): number {
  let next = at;
  while (text[next] === " " || text[next] === "\t") next++;
  return next;
}

function takeWord(text: string, at: number): string | undefined {
  word.lastIndex = at;
  return word.exec(text)?.[0];
}

/** As Prometheus reads values: decimal, no underscores. */
export function parseNumber(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return /^[+-]?nan$/i.test(text) ? NaN : undefined;
}

/**
 * Seconds as whole ms, the nearest. By the digits where there are digits: seconds times 1000 in floating point is often a
 * little less than the ms that was meant.
 */
function millisecondsOf(text: string): number | undefined {
  const [, sign, whole = "", fraction = ""] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text) ?? [];
  if (sign === undefined) {
    const seconds = parseNumber(text);
    return seconds === undefined || !Number.isFinite(seconds) ? undefined : Math.round(seconds * 1000);
  }
  const ms = Number(whole) * 1000 + Number(fraction.slice(0, 3).padEnd(3, "0")) + (fraction.charAt(3) >= "5" ? 1 : 0);
  return sign === "-" ? 0 - ms : ms;
}
