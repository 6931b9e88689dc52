/**
 * A service's request counter: one metric, a thousand series a target, all of them counters of whole numbers. What range
 * queries are measured on.
 */
import type { Population } from "./population.ts";

const HANDLERS = [
  "/",
  "/login",
  "/logout",
  "/cart",
  "/checkout",
  "/search",
  "/items",
  "/items/:id",
  "/admin",
  "/metrics",
];
const CODES = ["200", "201", "302", "404", "500"];
const INSTANCES = Array.from({ length: 20 }, (_, i) => `api-${i}.prod:8080`);

export const httpRequests: Population = {
  series: INSTANCES.flatMap((instance) =>
    HANDLERS.flatMap((handler) =>
      CODES.map((code) => ({
        labels: { __name__: "http_requests_total", instance, handler, code },
        kind: "counter" as const,
      })),
    ),
  ),
  targetLabels: () => ({ cluster: "prod-eu-west-1", job: "api" }),
};
