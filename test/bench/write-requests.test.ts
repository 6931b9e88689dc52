import { expect, test } from "vitest";
import { httpRequests } from "../../bench/workloads/http-requests.ts";
import { nodeExporter } from "../../bench/workloads/node-exporter.ts";
import { SCRAPE_INTERVAL_MS, Workload } from "../../bench/workloads/write-requests.ts";
import { decodeWriteRequest, snappyUncompress } from "../support/write-request.ts";

const cases = [
  { population: nodeExporter, targetCount: 3, samplesPerRequest: 100, samplesPerSeries: 1, requests: 30 },
  { population: nodeExporter, targetCount: 3, samplesPerRequest: 2000, samplesPerSeries: 1, requests: 2 },
  { population: nodeExporter, targetCount: 3, samplesPerRequest: 10_000, samplesPerSeries: 10, requests: 3 },
  { population: httpRequests, targetCount: 1, samplesPerRequest: 60_000, samplesPerSeries: 60, requests: 1 },
];

test("a benchmark's bodies hold each series once a scrape, times going on by the interval", () => {
  for (const { population, targetCount, requests, ...shape } of cases) {
    const workload = new Workload({ population, targetCount, startMs: 1_700_000_000_000 });
    const newest = new Map<string, number>();
    for (let round = 0; round < 2; round++) {
      const bodies = [...workload.nextScrape(shape)];
      expect(bodies.length).toBe(requests);
      for (const { body, sampleCount } of bodies) {
        const series = decodeWriteRequest(snappyUncompress(body));
        expect(series.reduce((count, { samples }) => count + samples.length, 0)).toBe(sampleCount);
        for (const { labels, samples } of series) {
          expect(Object.keys(labels)).toEqual(Object.keys(labels).sort());
          const name = JSON.stringify(labels);
          for (const { timestamp } of samples) {
            if (newest.has(name)) expect(timestamp).toBe(newest.get(name)! + SCRAPE_INTERVAL_MS);
            newest.set(name, timestamp);
          }
        }
      }
    }
    expect(newest.size).toBe(workload.seriesCount);
    expect(Math.max(...newest.values())).toBe(workload.newestMs);
  }
});
