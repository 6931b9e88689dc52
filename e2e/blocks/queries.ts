/** What is asked of the day of samples. */
import type { Asked } from "../prometheus/ask-both.ts";
import { seconds } from "../prometheus/ask-both.ts";

const ranged = [
  "sum by (`zone.größe`) (rate(day_requests_total[5m]))",
  "sum(rate(day_requests_total[1h]))",
  'avg({"day.temperature_celsius"})',
  'max_over_time({"day.temperature_celsius", instance="host-7:9100"}[30m])',
  "count(day_flapping)",
  'day_flapping{instance=~"host-1.:9100"}',
  "count_over_time(day_gaps[10m])",
  "count(day_late)",
  "topk(3, day_gaps)",
  "quantile(0.9, day_gaps)",
  'resets(day_requests_total{instance="host-3:9100"}[6h])',
  "sum(day_limit) - count(day_early) * 2",
  '{"größe_😀", instance="host-1:9100"}',
];

const instants = [
  'day_requests_total{instance=~"host-[1-3]:9100"}[24h]',
  'day_flapping{instance="host-4:9100"}[24h]',
  '{"größe_😀"}[1h]',
  "day_late",
  "day_early offset 20h",
  'count by (__name__, `zone.größe`) ({__name__=~".+"})',
  'count({"😀"="\uffee"})',
  "sum_over_time(day_gaps[24h])",
  "increase(day_requests_total[24h])",
  "timestamp(day_limit)",
];

export function dayQueries(startMs: number, endMs: number): Asked[] {
  const grids = [
    { start: startMs, end: endMs, step: "300" },
    { start: startMs + 7_100_123, end: startMs + 7_300_456, step: "1.7" },
  ];
  const metadata = (path: string, ...parameters: (readonly [string, string])[]): Asked => ({
    path: `/api/v1/${path}`,
    parameters: [["start", seconds(startMs)], ["end", seconds(endMs)], ...parameters],
    isOrdered: path !== "series",
  });
  return [
    ...ranged.flatMap((query) =>
      grids.map(({ start, end, step }) => ({
        path: "/api/v1/query_range",
        parameters: [
          ["query", query],
          ["start", seconds(start)],
          ["end", seconds(end)],
          ["step", step],
        ] as const,
        isOrdered: true,
      })),
    ),
    ...instants.flatMap((query) =>
      [startMs + 43_200_000, endMs - 1].map((time) => ({
        path: "/api/v1/query",
        parameters: [
          ["query", query],
          ["time", seconds(time)],
        ] as const,
        isOrdered: query.endsWith("]"),
      })),
    ),
    metadata("labels"),
    metadata("labels", ["match[]", "day_early"]),
    metadata("label/__name__/values"),
    metadata("label/zone.gr%C3%B6%C3%9Fe/values"),
    metadata("label/U__zone_2e_gr_f6__df_e/values"),
    metadata("label/instance/values", ["match[]", "day_late"]),
    metadata("series", ["match[]", 'day_requests_total{instance=~"host-1.*"}']),
    metadata("series", ["match[]", '{"größe_😀"}']),
  ];
}
