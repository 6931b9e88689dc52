/**
 * Parts of Prometheus' API that are empty because this server scrapes nothing, evaluates no rules and keeps no exemplars.
 * Grafana asks for them when a data source is added and takes an error for a broken server.
 */
import { TIME_MAX_MS, TIME_MIN_MS, badRequest } from "../params.ts";
import { success } from "../route.ts";
import type { Route, RouteContext } from "../route.ts";

const NO_TARGETS = { activeTargets: [], droppedTargets: [], droppedTargetCounts: {} };

function exemplars({ params }: RouteContext): string {
  const startMs = params.timeOr("start", TIME_MIN_MS);
  const endMs = params.timeOr("end", TIME_MAX_MS);
  if (endMs < startMs) throw badRequest("end timestamp must not be before start timestamp");
  return success([]);
}

export const emptyRoutes: readonly Route[] = [
  {
    methods: ["GET"],
    path: "/api/v1/metadata",
    summary: "Metric metadata: none is kept",
    when: "always",
    handle: () => success({}),
  },
  {
    methods: ["GET"],
    path: "/api/v1/rules",
    summary: "Rules: there are none",
    when: "always",
    handle: () => success({ groups: [] }),
  },
  {
    methods: ["GET"],
    path: "/api/v1/alerts",
    summary: "Alerts: there are none",
    when: "always",
    handle: () => success({ alerts: [] }),
  },
  {
    methods: ["GET"],
    path: "/api/v1/targets",
    summary: "Scrape targets: there are none",
    when: "always",
    handle: () => success(NO_TARGETS),
  },
  {
    methods: ["GET", "POST"],
    path: "/api/v1/query_exemplars",
    summary: "Exemplars: none are kept",
    when: "always",
    handle: exemplars,
  },
];
