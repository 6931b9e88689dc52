/**
 * The second listener, plain whatever TLS and auth the main one has: kubelet and the operator ask it for probes and state,
 * and it serves nothing else. Its connections are its own, so a flood on the main port does not fail a liveness probe.
 */
import type { FastifyInstance } from "fastify";
import type { ProbeDeps } from "./deps.ts";
import { answerStrays, limitedFastify, registerRoutes } from "./limited-fastify.ts";
import { probeRoutes } from "./routes/probes.ts";

const CONNECTIONS_MAX = 64;
const READ_TIMEOUT_MS = 5000;

export function buildProbeApp(deps: ProbeDeps): FastifyInstance {
  const app = limitedFastify(
    { readTimeoutMs: READ_TIMEOUT_MS, writeTimeoutMs: READ_TIMEOUT_MS, connectionsMax: CONNECTIONS_MAX },
    deps,
    (handler) => handler,
  );
  registerRoutes(app, probeRoutes, { deps });
  answerStrays(app, probeRoutes, deps.log);
  return app;
}
