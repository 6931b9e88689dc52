/** Whether a server has every sample that a workload wrote, and how long it takes to read them all. */
import { SCRAPE_INTERVAL_MS, type Workload } from "../workloads/write-requests.ts";
import { queryNumber } from "./timed-query.ts";

/**
 * Counts series at the newest time, and samples over a window as long as all of them. One query a metric, because
 * count_over_time drops the metric's name, and different metrics of one device would become one series.
 * @returns seconds that the counting of samples took
 * @throws Error when a series or a sample is missing, or one too many is there
 */
export async function expectAllSamples(url: string, workload: Workload): Promise<number> {
  const expect = (what: string, counted: number, expected: number): void => {
    if (counted !== expected) throw new Error(`${url} has ${counted} ${what} where ${expected} were written`);
  };
  expect("series", await queryNumber(url, `count({__name__=~".+"})`, workload.newestMs), workload.seriesCount);

  const windowSeconds = (workload.scrapeCount * SCRAPE_INTERVAL_MS) / 1000;
  const startMs = performance.now();
  let samples = 0;
  for (const name of workload.metricNames)
    samples += await queryNumber(url, `sum(count_over_time(${name}[${windowSeconds}s]))`, workload.newestMs);
  const seconds = (performance.now() - startMs) / 1000;
  expect("samples", samples, workload.seriesCount * workload.scrapeCount);
  return seconds;
}
