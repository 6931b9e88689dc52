/**
 * Whether two servers gave the same answer to one request: status, type, error, labels, times, warnings and infos are
 * equal, values within 1e-12 of each other; where those are equal too, the bodies are equal byte for byte.
 */
import type { Answer } from "../support/http.ts";

export interface Comparison {
  /** Empty when the answers are the same. */
  readonly differences: readonly string[];
  readonly isByteForByte: boolean;
}

const TOLERANCE = 1e-12;
const SHOWN_MAX = 5;

/**
 * @param isOrdered whether the order of an instant vector or of a list is defined; that of a matrix always is
 */
export function compare(theirs: Answer, ours: Answer, isOrdered: boolean): Comparison {
  const isByteForByte = theirs.text === ours.text;
  const differences = [...differencesOf(theirs, ours, isOrdered)];
  const shown = differences.slice(0, SHOWN_MAX);
  if (differences.length > SHOWN_MAX) shown.push(`and ${differences.length - SHOWN_MAX} more`);
  return { differences: shown, isByteForByte };
}

interface Envelope {
  readonly status: string;
  readonly data?: Data;
  readonly errorType?: string;
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}
interface Data {
  readonly resultType: string;
  readonly result: unknown;
}
type Point = readonly [seconds: number, value: string];
interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: Point;
  readonly values?: readonly Point[];
}

function* differencesOf(theirs: Answer, ours: Answer, isOrdered: boolean): Generator<string> {
  if (theirs.status !== ours.status || theirs.contentType !== ours.contentType)
    return void (yield `theirs: ${headline(theirs)}; ours: ${headline(ours)}`);
  if (theirs.text === ours.text) return;
  const [their, our] = [parse(theirs.text), parse(ours.text)];
  if (!their || !our)
    return void (yield `no JSON: theirs ${theirs.text.slice(0, 200)}, ours ${ours.text.slice(0, 200)}`);
  yield* unequal("members", Object.keys(their), Object.keys(our));
  for (const member of ["status", "errorType"] as const) yield* unequal(member, their[member], our[member]);
  yield* unequal("error", withSortedSeries(their.error), withSortedSeries(our.error));
  // Prometheus keeps these in a map: their order is chance.
  yield* unequal("warnings", their.warnings?.toSorted(), our.warnings?.toSorted());
  yield* unequal("infos", their.infos?.toSorted(), our.infos?.toSorted());
  if (!their.data || !our.data) return;
  yield* unequal("resultType", their.data.resultType, our.data.resultType);
  if (their.data.resultType === "vector" || their.data.resultType === "matrix")
    yield* seriesDifferences(their.data, our.data, isOrdered);
  else if (their.data.resultType === "scalar")
    yield* pointDifferences("scalar", their.data.result as Point, our.data.result as Point);
  else if (Array.isArray(their.data) && Array.isArray(our.data) && !isOrdered)
    yield* unequal("data", sortedTexts(their.data), sortedTexts(our.data));
  else yield* unequal("data", their.data, our.data);
  // The same JSON may be written in two ways, as in 1 and 1.000.
  const isSameJson = JSON.stringify(their) === JSON.stringify(our);
  const theirText = withoutHtmlEscapes(theirs.text);
  if (isSameJson && theirText !== ours.text) yield `written differently: ${firstDifference(theirText, ours.text)}`;
}

function* seriesDifferences(their: Data, our: Data, isOrdered: boolean): Generator<string> {
  const [theirSeries, ourSeries] = [their.result as readonly Series[], our.result as readonly Series[]];
  const [theirKeys, ourKeys] = [theirSeries.map(keyOf), ourSeries.map(keyOf)];
  const ourByKey = new Map(ourSeries.map((series) => [keyOf(series), series]));
  const missing = theirKeys.filter((key) => !ourByKey.has(key));
  const surplus = ourKeys.filter((key) => !theirKeys.includes(key));
  if (missing.length > 0)
    yield `${missing.length} of ${theirKeys.length} series missing: ${missing.slice(0, 3).join(" ")}`;
  if (surplus.length > 0) yield `${surplus.length} series too many: ${surplus.slice(0, 3).join(" ")}`;
  if (missing.length > 0 || surplus.length > 0) return;
  if (isOrdered || their.resultType === "matrix") yield* unequal("order of series", theirKeys, ourKeys);
  for (const [i, series] of theirSeries.entries()) {
    const name = theirKeys[i]!;
    const other = ourByKey.get(name)!;
    if (series.value && other.value) yield* pointDifferences(name, series.value, other.value);
    else yield* columnDifferences(name, series.values ?? [], other.values ?? []);
  }
}

const sortedTexts = (data: readonly unknown[]): string[] => data.map((item) => JSON.stringify(item)).sort();

/** Members of an object keep their order in JSON.parse, so this compares the order of labels too. */
const keyOf = ({ metric }: Series): string => JSON.stringify(metric);

function* columnDifferences(name: string, their: readonly Point[], our: readonly Point[]): Generator<string> {
  const times = (points: readonly Point[]) => points.map(([seconds]) => seconds);
  if (JSON.stringify(times(their)) !== JSON.stringify(times(our))) {
    const missing = times(their).filter((time) => !times(our).includes(time));
    const surplus = times(our).filter((time) => !times(their).includes(time));
    yield `${name}: ${their.length} points there, ${our.length} here; missing at ${missing.slice(0, 5).join(" ")}, too many at ${surplus.slice(0, 5).join(" ")}`;
    return;
  }
  for (const [i, point] of their.entries()) yield* pointDifferences(name, point, our[i]!);
}

function* pointDifferences(name: string, their: Point, our: Point): Generator<string> {
  if (their[0] !== our[0]) yield `${name}: at ${their[0]} there, at ${our[0]} here`;
  else if (!isClose(their[1], our[1])) yield `${name} at ${their[0]}: ${their[1]} there, ${our[1]} here`;
}

function isClose(theirText: string, ourText: string): boolean {
  if (theirText === ourText) return true;
  const [their, our] = [Number(theirText), Number(ourText)]; // NaN and the infinities of Go are equal as text or not at all
  // A zero's sign is part of it.
  return Math.abs(their - our) <= TOLERANCE * Math.max(Math.abs(their), Math.abs(our)) && their !== 0;
}

function* unequal(what: string, their: unknown, our: unknown): Generator<string> {
  const [theirText, ourText] = [JSON.stringify(their), JSON.stringify(our)];
  if (theirText !== ourText) yield `${what}: ${shorten(theirText)} there, ${shorten(ourText)} here`;
}

/** `... side of the operation: [{a="1"}, {a="0"}];many-to-many ...`: which of two series comes first is chance. */
const withSortedSeries = (error: string | undefined): string | undefined =>
  error?.replace(/\[(\{.*\}), (\{.*\})\]/, (_, first: string, second: string) => [first, second].sort().join(" and "));

function parse(text: string): Envelope | undefined {
  try {
    return JSON.parse(text) as Envelope;
  } catch {
    return undefined;
  }
}

/** Go escapes these for browsers that take JSON for HTML; our answers forbid browsers to guess. */
const withoutHtmlEscapes = (text: string): string =>
  text.replace(/\\u00(3c|3e|26)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

const shorten = (text: string | undefined): string => (text === undefined ? "nothing" : text.slice(0, 300));
const headline = ({ status, contentType, text }: Answer): string => `${status} ${contentType} ${text.slice(0, 200)}`;

function firstDifference(their: string, our: string): string {
  let i = 0;
  while (their[i] === our[i]) i++;
  const from = Math.max(0, i - 30);
  return `${their.slice(from, i + 30)} there, ${our.slice(from, i + 30)} here`;
}
