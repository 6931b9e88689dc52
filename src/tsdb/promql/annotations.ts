/**
 * What a query tells its user beside the answer. Warnings say that the answer may not be what was meant, infos that the
 * query looks odd. They are worded as Prometheus words them and end in where in the query they arose. Equal ones are shown
 * once, at the place that raised them last.
 */
import { quote } from "../model/labels.ts";
import { generalText } from "./number-text.ts";

export class Annotations {
  readonly #query: string;
  readonly #positionOfWarning = new Map<string, string>();
  readonly #positionOfInfo = new Map<string, string>();
  readonly #storageWarnings = new Set<string>();

  constructor(query: string) {
    this.#query = query;
  }

  /** @param position index into the query's text, in UTF-16 code units */
  warn(message: string, position: number): void {
    this.#positionOfWarning.set(`PromQL warning: ${message}`, lineAndColumn(this.#query, position));
  }

  inform(message: string, position: number): void {
    this.#positionOfInfo.set(`PromQL info: ${message}`, lineAndColumn(this.#query, position));
  }

  /** What storage could not read. */
  warnOfStorage(message: string): void {
    this.#storageWarnings.add(message);
  }

  get warnings(): string[] {
    return [...this.#storageWarnings, ...withPositions(this.#positionOfWarning)];
  }

  get infos(): string[] {
    return withPositions(this.#positionOfInfo);
  }
}

export const invalidQuantile = (quantile: number): string =>
  `quantile value should be between 0 and 1, got ${generalText(quantile)}`;

export const possibleNonCounter = (metricName: string): string =>
  `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quote(metricName)}`;

const withPositions = (positions: ReadonlyMap<string, string>): string[] =>
  Array.from(positions, ([message, position]) => `${message} (${position})`);

/** Both count from 1; the column in bytes of UTF-8, as Go indexes strings. */
export function lineAndColumn(query: string, position: number): string {
  const before = query.slice(0, position);
  const lineStart = before.lastIndexOf("\n") + 1;
  const line = before.split("\n").length;
  return `${line}:${Buffer.byteLength(before.slice(lineStart)) + 1}`;
}
