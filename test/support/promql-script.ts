/**
 * Prometheus' language for PromQL tests, from text to commands: `load` adds series, `clear` drops them, `eval` runs a query
 * and says what must come out.
 * @see Prometheus promql/promqltest/README.md
 */
import { RE2JS } from "re2js";
import { parseDurationMs } from "../../src/base/duration.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";
import { parseMetricSelector } from "../../src/tsdb/promql/parser.ts";
import { labelSet } from "./fake-storage.ts";

/** One place in a sequence of values. */
export type Point = number | "stale" | "omitted" | "histogram";

export interface Sequence {
  readonly labels: LabelSet;
  readonly points: readonly Point[];
  /** Its samples say when their counting began. */
  readonly hasStartTimestamps: boolean;
}

export interface Load {
  readonly kind: "load";
  readonly stepMs: number;
  readonly series: readonly Sequence[];
  /** Classic histograms are loaded as native ones, too. */
  readonly withHistograms: boolean;
}

export interface Eval {
  readonly kind: "eval";
  readonly line: number;
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  /** Undefined: an instant query at `startMs`. */
  readonly stepMs: number | undefined;
  /** Of the samples of an instant query that answers a range selector. */
  readonly samples: { readonly startMs: number; readonly endMs: number; readonly stepMs: number } | undefined;
  readonly isOrdered: boolean;
  /** Undefined: the query succeeds. */
  readonly fail: TextTest | undefined;
  readonly warnings: AnnotationTest;
  readonly infos: AnnotationTest;
  /** In the order given. A number alone is a scalar. */
  readonly result: readonly Sequence[] | number | string;
}

export type Command = Load | Eval | { readonly kind: "clear" };

export interface TextTest {
  readonly description: string;
  matches(text: string): boolean;
}

/** What annotations of one kind must be: none, or each matched by one of these and each of these by one of them. */
export type AnnotationTest = "none" | readonly TextTest[];

/** @throws Error with the line of what cannot be read */
export function parseScript(text: string): Command[] {
  const lines = text.split("\n").map((line) => line.trim().replace(/^#.*/, ""));
  const commands: Command[] = [];
  for (let i = 0; i < lines.length; i++) {
    const first = lines[i]!;
    if (first === "") continue;
    const block: string[] = [];
    const line = i + 1;
    while (!first.startsWith("clear") && i + 1 < lines.length && lines[i + 1] !== "") block.push(lines[++i]!);
    try {
      commands.push(parseCommand(first, block, line));
    } catch (cause) {
      throw new Error(`line ${line}: ${first}`, { cause });
    }
  }
  return commands;
}

function parseCommand(first: string, block: readonly string[], line: number): Command {
  if (first === "clear") return { kind: "clear" };
  if (first.startsWith("load")) return parseLoad(first, block);
  if (first.startsWith("eval")) return parseEval(first, block, line);
  throw new Error("no such command");
}

function parseLoad(first: string, block: readonly string[]): Load {
  const [, withHistograms, step] = required(/^load(_with_nhcb)?\s+(.+)$/.exec(first));
  const series: Sequence[] = [];
  let hasStartTimestamps = false;
  for (const line of block) {
    // The start timestamps of the next line's samples.
    if (/^\S+@st\s/.test(line)) {
      hasStartTimestamps = true;
      continue;
    }
    series.push({ ...parseSequence(line), hasStartTimestamps });
    hasStartTimestamps = false;
  }
  return { kind: "load", stepMs: duration(step), series, withHistograms: withHistograms !== undefined };
}

const INSTANT = /^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$/;
const RANGE = /^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$/;
const EXPECT = /^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$/;
const SAMPLES = /^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$/;

const ANYTHING: TextTest = { description: "anything", matches: () => true };

function parseEval(first: string, block: readonly string[], line: number): Eval {
  const instant = INSTANT.exec(first);
  const [, mode, start, end, step, rangeQuery] = instant ?? required(RANGE.exec(first));
  const query = instant === null ? rangeQuery! : instant[3]!;
  const tests = new Map<string, TextTest[]>(mode === undefined ? [] : [[mode, [ANYTHING]]]);
  const sequences: Sequence[] = [];
  let scalar: number | undefined;
  let text: string | undefined;
  let samples: Eval["samples"];
  for (const expectation of block) {
    if (expectation.startsWith("expected_fail_message"))
      tests.set("fail", [exactly(expectation.slice("expected_fail_message".length).trim())]);
    else if (expectation.startsWith("expected_fail_regexp"))
      tests.set("fail", [pattern(expectation.slice("expected_fail_regexp".length).trim())]);
    else if (expectation.startsWith("expect range vector")) {
      const [startMs, endMs, stepMs] = required(SAMPLES.exec(expectation)).slice(1).map(duration);
      samples = { startMs: startMs!, endMs: endMs!, stepMs: stepMs! };
    } else if (expectation.startsWith("expect string")) text = /^expect string (["`])(.*)\1$/.exec(expectation)![2]!;
    else if (/^expect\s/.test(expectation)) {
      const [, type, match, message] = required(EXPECT.exec(expectation));
      const test = match === "msg" ? exactly(message!.trim()) : match === "regex" ? pattern(message!.trim()) : ANYTHING;
      tests.set(type!, [...(tests.get(type!) ?? []), test]);
    } else if (numberOf(expectation) !== undefined) scalar = numberOf(expectation);
    else sequences.push(parseSequence(expectation));
  }
  const annotations = (kind: string): AnnotationTest => (tests.has(`no_${kind}`) ? "none" : (tests.get(kind) ?? []));
  return {
    kind: "eval",
    line,
    query,
    startMs: duration(start),
    endMs: duration(instant === null ? end : start),
    stepMs: instant === null ? duration(step) : undefined,
    samples,
    isOrdered: tests.has("ordered"),
    fail: tests.get("fail")?.[0],
    warnings: annotations("warn"),
    infos: annotations("info"),
    result: text ?? scalar ?? sequences,
  };
}

const exactly = (message: string): TextTest => ({
  description: JSON.stringify(message),
  matches: (text) => text === message,
});

function pattern(expression: string): TextTest {
  const compiled = RE2JS.compile(expression);
  return { description: `/${expression}/`, matches: (text) => compiled.matcher(text).find() };
}

/** `metric{label="value"} 1 2+3x2 _ stale {{...}}` */
function parseSequence(line: string): Sequence {
  const metricEnd = endOfMetric(line);
  const pairs: [string, string][] = parseMetricSelector(line.slice(0, metricEnd), { unquotedNames: true }).map(
    ({ name, value }) => [name, value],
  );
  const items = line.slice(metricEnd).match(/(?:\{\{.*?\}\}[+-]?)+\S*|\S+/g) ?? [];
  return { labels: labelSet(Object.fromEntries(pairs)), points: items.flatMap(pointsOf), hasStartTimestamps: false };
}

/** The first blank that stands neither in braces nor in quotes. */
function endOfMetric(line: string): number {
  let quote = "";
  let isInBraces = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (quote !== "") {
      if (c === "\\") i++;
      else if (c === quote) quote = "";
    } else if (isInBraces && (c === '"' || c === "'" || c === "`")) quote = c;
    else if (c === "{") isInBraces = true;
    else if (c === "}") return i + 1;
    else if (!isInBraces && /\s/.test(c)) return /^\s*\{(?!\{)/.test(line.slice(i)) ? line.indexOf("}", i) + 1 : i;
  }
  return line.length;
}

const NUMBER = String.raw`(?:[Ii]nf|[Nn]a[Nn]|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)`;
const ITEM = new RegExp(`^([+-]?${NUMBER}|stale|_)(?:([+-]${NUMBER}))?(?:x(\\d+))?$`);
/** A histogram, and one that is added to it again and again. */
const HISTOGRAM_ITEM = /^\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x(\d+))?$/;

function pointsOf(item: string): Point[] {
  const histogram = HISTOGRAM_ITEM.exec(item);
  if (histogram !== null) return repeated("histogram", Number(histogram[1] ?? 0) + 1);
  const [, first, step, times] = required(ITEM.exec(item));
  if (first === "_") return repeated("omitted", Number(times ?? 1));
  if (first === "stale") return repeated("stale", Number(times ?? 0) + 1);
  const points: number[] = [];
  let value = numberOf(first!)!;
  const added = step === undefined ? 0 : numberOf(step)!;
  for (let i = 0; i <= Number(times ?? 0); i++) {
    points.push(value);
    if (step !== undefined) value += added;
  }
  return points;
}

const repeated = (point: Point, count: number): Point[] => Array.from({ length: count }, () => point);

function numberOf(text: string): number | undefined {
  const match = new RegExp(`^([+-]?)(${NUMBER})$`).exec(text);
  if (match === null) return undefined;
  const [, sign, digits] = match;
  const magnitude = /inf/i.test(digits!) ? Infinity : Number(digits);
  return sign === "-" ? -magnitude : magnitude;
}

function duration(text: string | undefined): number {
  const ms = text === undefined ? undefined : parseDurationMs(text);
  if (ms === undefined) throw new Error(`no duration: ${text}`);
  return ms;
}

function required<T>(match: T | null): T {
  if (match === null) throw new Error("not in the language of these tests");
  return match;
}
