/**
 * Builds the HTTP server, and never listens. Plain write requests are served below HTTP (write-lane.ts), others to the write
 * path go to their handler before routing (write-handler.ts), and all else are routes of the table in routes/index.ts.
 * Limits and error answers: limited-fastify.ts.
 */
import type { FastifyInstance } from "fastify";
import type { AppDeps } from "./deps.ts";
import { answerStrays, limitedFastify, openWriteLane, registerRoutes } from "./limited-fastify.ts";
import { HttpCounters, MetricsPage } from "./metrics.ts";
import { metricsRoute, routes, writeRoute } from "./routes/index.ts";
import { createWriteHandler } from "./write-handler.ts";
import type { WriteHandler } from "./write-handler.ts";
import { WriteService } from "./write-service.ts";

export function buildApp(deps: AppDeps): FastifyInstance {
  const { database, queries, build, config, options } = deps;
  const counters = new HttpCounters();
  const sources = () => ({
    stats: database.stats(),
    database,
    counters,
    pool: queries.stats(),
    build,
    configLoaded: config.loaded(),
  });
  const parts = { deps, counters, metrics: new MetricsPage(sources) };
  const { metricsPath } = options;
  const table = metricsPath === undefined ? routes : [...routes, { ...metricsRoute, path: metricsPath }];

  const service = new WriteService(deps, counters);
  const write = createWriteHandler(service);
  const app = limitedFastify(options.server, deps, (handler) => (request, response) => {
    if (request.url === writeRoute.path && request.method === "POST") write(request, response);
    else handler(request, response);
  });
  openWriteLane(app.server, service, options.server, deps.clock);
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url;
    if (route !== writeRoute.path) counters.countRequest(route ?? "none", reply.statusCode);
  });
  registerRoutes(app, table, parts);
  registerWrite(app, write);
  answerStrays(app, [...table, writeRoute], deps.log);
  return app;
}

/** For writes that do not come straight from a socket (app.inject) or carry a query string. */
function registerWrite(app: FastifyInstance, write: WriteHandler): void {
  app.register(async (scope) => {
    // The handler reads the body itself.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
    scope.post(writeRoute.path, (request, reply) => {
      reply.hijack();
      write(request.raw, reply.raw);
    });
  });
}
