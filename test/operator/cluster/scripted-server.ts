/**
 * An HTTP server on loopback that answers each request as the test's script says: what arrives is kept, what leaves may be
 * late, cut short, or nonsense. It knows nothing of Kubernetes.
 */
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { systemClock } from "../../../src/base/clock.ts";
import type { Clock } from "../../../src/base/clock.ts";
import { ClusterClient } from "../../../src/operator/cluster/client.ts";
import { Connection } from "../../../src/operator/cluster/connection.ts";
import type { TransportOptions } from "../../../src/operator/cluster/transport.ts";

export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers one request; the next one has the next answer, and the last one all that follow. */
export type Answer = (response: ServerResponse, arrived: Arrived) => unknown;

export class ScriptedServer implements AsyncDisposable {
  readonly arrived: Arrived[] = [];
  readonly #server;
  #connections = 0;
  answers: Answer[];

  private constructor(answers: Answer[]) {
    this.answers = answers;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on("connection", () => this.#connections++);
  }

  static async start(...answers: Answer[]): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(answers);
    await new Promise<void>((resolve) => void scripted.#server.listen(0, "127.0.0.1", resolve));
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): number {
    return this.#connections;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const arrived = {
      method: request.method!,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body,
    };
    this.arrived.push(arrived);
    await this.answers[Math.min(this.arrived.length, this.answers.length) - 1]!(response, arrived);
  }
}

export const json =
  (status: number, body: unknown, headers: Record<string, string | string[]> = {}): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

export const status = (code: number, reason: string, headers: Record<string, string> = {}, details?: object): Answer =>
  json(
    code,
    { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message: `it is ${reason}`, details },
    headers,
  );

export const plain =
  (code: number, body: string): Answer =>
  (response) =>
    response.writeHead(code, { "content-type": "text/plain" }).end(body);

export const reset: Answer = (response) => void response.socket!.resetAndDestroy();
export const hang: Answer = () => {};

export interface TestClient extends AsyncDisposable {
  readonly client: ClusterClient;
  readonly connection: Connection;
  readonly attempts: string[];
  readonly warnings: string[];
}

export function kubeConfigFor(server: string, token?: string): KubeConfig {
  const config = new KubeConfig();
  const user = { name: "operator", ...(token === undefined ? {} : { token }) };
  config.loadFromClusterAndUser({ name: "here", server, skipTLSVerify: true }, user);
  return config;
}

export function clientOf(
  { url }: { readonly url: string },
  options: Partial<TransportOptions> & { load?: () => KubeConfig; clock?: Clock } = {},
): TestClient {
  const clock = options.clock ?? systemClock;
  const connection = options.connection ?? new Connection(options.load ?? (() => kubeConfigFor(url)), clock);
  const attempts: string[] = [];
  const warnings: string[] = [];
  const client = new ClusterClient({
    clock,
    random: () => 0.5,
    userAgent: "tsdb-operator/test",
    mayWrite: () => true,
    onAttempt: ({ verb, resource, code }) => attempts.push(`${verb} ${resource} ${code}`),
    onWarning: (warning) => warnings.push(warning),
    ...options,
    connection,
  });
  return { client, connection, attempts, warnings, [Symbol.asyncDispose]: () => connection.close() };
}
