/** The whole HTTP surface, as data. */
import { WRITE_PATH } from "../write-service.ts";
import type { Method, Route, RouteContext } from "../route.ts";
import { adminRoutes } from "./admin.ts";
import { emptyRoutes } from "./empty.ts";
import { probeRoutes } from "./probes.ts";
import { queryRoutes } from "./queries.ts";
import { serverRoutes } from "./server.ts";
import { statusRoutes } from "./status.ts";
import { tsdbAdminRoutes } from "./tsdb-admin.ts";

/** Not a Route: it is handled before routing (write-handler.ts). */
export const writeRoute = {
  methods: ["POST"] satisfies readonly Method[],
  path: WRITE_PATH,
  summary: "Stores samples: remote write 1.0 or JSON",
} as const;

export const METRICS_PATH = "/metrics";

async function metricsPage({ metrics, request, reply }: RouteContext): Promise<string> {
  const { contentType, body } = await metrics.print(request.headers.accept);
  reply.type(contentType);
  return body;
}

export const metricsRoute: Route = {
  methods: ["GET"],
  path: METRICS_PATH,
  summary: "Metrics, as Prometheus text or OpenMetrics",
  when: "always",
  handle: metricsPage,
};

/** All but the write route and the metrics page, whose path is configured. */
export const routes: readonly Route[] = [
  ...queryRoutes,
  ...statusRoutes,
  ...adminRoutes,
  ...tsdbAdminRoutes,
  ...emptyRoutes,
  ...probeRoutes,
  ...serverRoutes,
];
