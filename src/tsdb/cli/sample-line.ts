/**
 * One sample as a line of text, in Prometheus' exposition notation:
 *   cpu{host="a"} 0.85           cpu{host="a"} 0.85 1732450000000           {"http.requests", code="200"} 17
 * Label values know the escapes \\ \" and \n; a name in quotes may be any text. The timestamp is ms since the epoch.
 */
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

const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const labelName = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;
const word = /\S+/y;

/** @throws SampleLineError with the column of what is wrong */
export function parseSampleLine(line: string): SampleLine {
  const labels = new Map<string, string>();
  let at = 0;

  const skipBlanks = (): void => {
    while (line[at] === " " || line[at] === "\t") at++;
  };
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match) at += match[0].length;
    return match ?? undefined;
  };
  const fail = (message: string, column = at): never => {
    throw new SampleLineError(column + 1, message);
  };
  const add = (name: string, value: string, column: number): void => {
    if (labels.has(name))
      fail(name === "__name__" ? "the metric is named twice" : `label "${name}" is given twice`, column);
    labels.set(name, value);
  };
  const takeQuoted = (): string | undefined => {
    const match = take(quoted);
    return (
      match &&
      match[1]!.replace(/\\(.)/g, (escape, char: string) => (char === "n" ? "\n" : /["\\]/.test(char) ? char : escape))
    );
  };

  const readLabels = (): void => {
    at++;
    for (;;) {
      skipBlanks();
      if (line[at] === "}") break;
      const column = at;
      const name = takeQuoted() ?? take(labelName)?.[0] ?? fail('expected a label such as host="a", or }');
      skipBlanks();
      if (line[at] === "=") {
        at++;
        skipBlanks();
        add(name, takeQuoted() ?? fail(`expected the value of label "${name}" in double quotes`), column);
      } else if (line[column] === '"') add("__name__", name, column);
      else fail(`expected = and a value after label "${name}"`);
      skipBlanks();
      if (line[at] === ",") at++;
      else if (line[at] !== "}") fail("expected , or }");
    }
    at++;
  };

  skipBlanks();
  const name = take(metricName);
  if (name) add("__name__", name[0], name.index);
  skipBlanks();
  if (line[at] === "{") readLabels();
  if (!labels.get("__name__")) fail('expected a metric name, as in cpu{host="a"} 0.85', 0);

  skipBlanks();
  const valueColumn = at;
  const value = parseValue(take(word)?.[0] ?? fail("expected a value after the series"));
  if (value === undefined) fail("expected a number, NaN, +Inf or -Inf", valueColumn);
  skipBlanks();
  const timestampColumn = at;
  const timestamp = take(word)?.[0];
  if (timestamp !== undefined && !isTimestamp(timestamp))
    fail("expected a timestamp in whole milliseconds since 1970", timestampColumn);
  skipBlanks();
  if (at < line.length) fail("expected the end of the line");

  return {
    labels: [...labels]
      .map(([label, text]) => ({ name: label, value: text }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    value: value!,
    timestampMs: timestamp === undefined ? undefined : Number(timestamp),
  };
}

export const isTimestamp = (text: string): boolean => /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text));

/** A sample value as Prometheus writes and reads it. */
export function parseValue(text: string): number | undefined {
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(text)) return NaN;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}
