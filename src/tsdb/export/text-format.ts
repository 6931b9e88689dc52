/**
 * Samples as lines of text, exact: numbers have the shortest digits that read back to the same bits.
 *
 *   OpenMetrics   cpu{host="a"} 0.85 1732450000.5       times in seconds, # EOF at the end; import reads it, promtool too
 *   CSV           "cpu{host=""a""}",1732450000500,0.85  a header line, times in ms, lines end in CR LF (RFC 4180)
 *
 * NaN is `NaN` whatever its payload. A stale marker, the NaN that ends a series, is `stale` in CSV; OpenMetrics has no word
 * for it: there it is left out.
 */
import { formatLabelSet, type LabelSet } from "../model/labels.ts";
import { valueText } from "../promql/number-text.ts";

export interface TextFormat {
  readonly header: string;
  readonly footer: string;
  /** What stands before time and value of each sample of a series. */
  series(labels: LabelSet): string;
  /** @returns undefined when there is no way to say it */
  sample(series: string, timeMs: number, value: number, isStale: boolean): string | undefined;
}

export const openMetrics: TextFormat = {
  header: "",
  footer: "# EOF\n",
  series: (labels) => seriesText(labels),
  sample: (series, timeMs, value, isStale) =>
    isStale ? undefined : `${series} ${valueText(value)} ${secondsText(timeMs)}\n`,
};

export const csv: TextFormat = {
  header: "series,timestamp_ms,value\r\n",
  footer: "",
  series: (labels) => cell(seriesText(labels)),
  sample: (series, timeMs, value, isStale) => `${series},${timeMs},${isStale ? "stale" : valueText(value)}\r\n`,
};

const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Without blanks between labels, which parsers of OpenMetrics may refuse. */
const seriesText = (labels: LabelSet): string => formatLabelSet(labels, ",");

/**
 * Seconds that are read as the same ms by whoever multiplies by 1000 and cuts, as Prometheus does: where that comes out one
 * too low, a tenth of a ms is added, which rounding takes away again.
 */
export function secondsText(timeMs: number): string {
  const digits = String(Math.abs(timeMs)).padStart(4, "0");
  const fraction = digits.slice(-3).replace(/0+$/, "");
  const text = `${timeMs < 0 ? "-" : ""}${digits.slice(0, -3)}${fraction === "" ? "" : `.${digits.slice(-3)}`}`;
  return Math.trunc(Number(text) * 1000) === timeMs ? text : `${text}1`;
}
