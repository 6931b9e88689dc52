/**
 * A series and a value as the exposition formats write them:
 *   cpu{host="a"} 0.85           {"http.requests", code="200"} +Inf
 * Label values know the escapes \\ \" and \n; a name in quotes may be any text.
 */
import { METRIC_NAME } from "./labels.ts";

/** @param at of the character that is wrong, counted from 0 */
export type Fail = (at: number, message: string) => never;

export interface SeriesText {
  /** In the order of the text, each name once; nothing else is checked. */
  readonly labels: ReadonlyMap<string, string>;
  /** Behind name and labels, and blanks that follow the name. */
  readonly end: number;
}

const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const labelName = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;

/** Reads what there is of a metric's name and labels, from a character on. */
export function readSeries(text: string, from: number, fail: Fail): SeriesText {
  const labels = new Map<string, string>();
  let at = from;
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
  const skip = (): void => void (at = skipBlanks(text, at));
  const add = (name: string, value: string, column: number): void => {
    if (labels.has(name))
      fail(column, name === METRIC_NAME ? "the metric is named twice" : `label "${name}" is given twice`);
    labels.set(name, value);
  };

  const name = take(metricName);
  if (name) add(METRIC_NAME, name[0], from);
  skip();
  if (text[at] !== "{") return { labels, end: at };
  at++;
  for (;;) {
    skip();
    if (text[at] === "}") break;
    const column = at;
    const label = takeQuoted() ?? take(labelName)?.[0] ?? fail(at, 'expected a label such as host="a", or }');
    skip();
    if (text[at] === "=") {
      at++;
      skip();
      add(label, takeQuoted() ?? fail(at, `expected the value of label "${label}" in double quotes`), column);
    } else if (text[column] === '"') add(METRIC_NAME, label, column);
    else fail(at, `expected = and a value after label "${label}"`);
    skip();
    if (text[at] === ",") at++;
    else if (text[at] !== "}") fail(at, "expected , or }");
  }
  return { labels, end: at + 1 };
}

const unescaped = (text: string): string =>
  text.replace(/\\(.)/g, (escape, char: string) => (char === "n" ? "\n" : /["\\]/.test(char) ? char : escape));

/** @returns where the first character is, at or behind `at`, that is no blank */
export function skipBlanks(text: string, at: number): number {
  let next = at;
  while (text[next] === " " || text[next] === "\t") next++;
  return next;
}

/** A sample's value as Prometheus writes and reads it: decimal, no underscores. */
export function parseValue(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return /^[+-]?nan$/i.test(text) ? NaN : undefined;
}
