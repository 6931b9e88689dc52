/** What kubelet, load balancers and the operator ask; the probe listener serves these three and nothing else. */
import { badRequest } from "../params.ts";
import { isReady, isReadyForQueries, isStopping, readinessText } from "../readiness.ts";
import type { ProbeParts, RequestContext, Route } from "../route.ts";

type Context = ProbeParts & RequestContext;

function healthy({ reply }: Context): string {
  reply.type("text/plain; charset=utf-8");
  return "TSDB is healthy.\n";
}

function ready({ deps, reply, params }: Context): string {
  const use = params.value("for");
  if (use !== "" && use !== "queries")
    throw badRequest("for must be queries, or absent: then it is asked about writes");
  reply.type("text/plain; charset=utf-8");
  if (!(use === "queries" ? isReadyForQueries : isReady)(deps.database)) reply.code(503);
  if (isStopping(deps.database)) reply.header("X-Prometheus-Stopping", "true");
  return `${readinessText(deps.database)}.\n`;
}

function state({ deps }: Context): string {
  const { database, build, config } = deps;
  return JSON.stringify({
    state: database.state,
    reason: readinessText(database),
    replay: database.replay,
    engineVersion: build.version,
    formatVersion: build.formatVersion,
    configHash: config.hash(),
    configFileHash: config.fileHash(),
  });
}

export const probeRoutes: readonly Route<ProbeParts>[] = [
  {
    methods: ["GET", "HEAD"],
    path: "/-/healthy",
    summary: "200 while the process serves",
    when: "always",
    handle: healthy,
  },
  {
    methods: ["GET", "HEAD"],
    path: "/-/ready",
    summary: "200 while writes are taken, with `for=queries` while queries are answered; 503 with the reason otherwise",
    when: "always",
    handle: ready,
  },
  {
    methods: ["GET", "HEAD"],
    path: "/-/state",
    summary: "State, replay progress, versions and config hash",
    when: "always",
    handle: state,
  },
];
