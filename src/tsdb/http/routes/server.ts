/** The server itself: what a person sees who opens its address, and reading its configuration again. */
import { TsdbError } from "../../../base/errors.ts";
import { errorBody } from "../errors.ts";
import { success } from "../route.ts";
import type { Route, RouteContext } from "../route.ts";

function welcome({ deps: { build, options }, reply }: RouteContext): string {
  reply.type("text/plain; charset=utf-8");
  const metrics =
    options.metricsPath === undefined ? "" : `\n  GET  ${options.metricsPath.padEnd(22)} the server's own metrics`;
  return `tsdb ${build.version}, a Prometheus-compatible time-series database

  POST /api/v1/write          remote write 1.0, or JSON
  GET  /api/v1/query?query=up PromQL at one time; /api/v1/query_range over a range
  GET  /-/ready               whether writes are taken${metrics}

In Grafana, add it as a data source of type Prometheus with this address.
`;
}

function reload({ deps, reply }: RouteContext): string {
  try {
    return success(deps.config.reload());
  } catch (thrown) {
    if (!(thrown instanceof TsdbError && thrown.code === "BAD_CONFIG")) throw thrown;
    // The mistake itself may name files and values that are none of the caller's business.
    reply.code(500);
    return errorBody("internal", NOT_RELOADED);
  }
}

const NOT_RELOADED =
  "The configuration was not reloaded, the one before stays in force; the server's log names the mistake";

export const serverRoutes: readonly Route[] = [
  { methods: ["GET"], path: "/", summary: "What this is, for people", when: "always", handle: welcome },
  {
    methods: ["POST"],
    path: "/-/reload",
    summary: "Reads the configuration again, as SIGHUP does",
    when: "always",
    handle: reload,
  },
];
