/**
 * What the operator serves: /metrics, /healthz (whether it should be restarted) and /readyz (whether it sees the cluster),
 * each plain text. Nothing here changes anything, and nothing that a client does can hold more than a few connections.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

export interface OperatorHttpOptions {
  readonly host: string | undefined;
  readonly port: number;
  readonly registry: Registry;
  /** What is wrong so that only a restart may help; empty when nothing is. */
  readonly unhealthy: () => readonly string[];
  /** What is still missing; empty when all is there. */
  readonly unready: () => readonly string[];
  readonly log: Logger;
}

const CONNECTIONS_MAX = 64;

export class OperatorHttp {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Rejects when the address cannot be listened on. */
  static async listen(options: OperatorHttpOptions): Promise<OperatorHttp> {
    const server = createServer(
      { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 60_000, maxHeaderSize: 16 * 1024 },
      (request, response) => void answer(request, response, options),
    );
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) }, resolve);
    });
    server
      .removeAllListeners("error")
      .on("error", (error) => options.log.warn({ error }, "the metrics server had an error"));
    return new OperatorHttp(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, options: OperatorHttpOptions): Promise<void> {
  const { registry, unhealthy, unready, log } = options;
  const text = (status: number, body: string): void => {
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${body}\n`);
  };
  const verdict = (problems: readonly string[]): void =>
    problems.length === 0 ? text(200, "ok") : text(503, problems.join("\n"));
  // Of no use to anybody here, and not to be kept in memory.
  request.resume();
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return text(405, "only GET");
  }
  try {
    switch (request.url?.split("?")[0]) {
      case "/healthz":
        return verdict(unhealthy());
      case "/readyz":
        return verdict(unready());
      case "/metrics": {
        const body = await registry.metrics();
        response.writeHead(200, { "content-type": registry.contentType }).end(body);
        return;
      }
      default:
        return text(404, "there are /metrics, /healthz and /readyz");
    }
  } catch (error) {
    log.error({ error }, "cannot answer a request");
    if (response.headersSent) response.destroy();
    else text(500, messageOf(error));
  }
}
