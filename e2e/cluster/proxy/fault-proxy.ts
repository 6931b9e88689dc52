/**
 * Stands before a real API server, with its certificate, and makes the faults that the real one cannot be made to have:
 * answers of errors, cut and hanging connections, watches that lie. It records every request that comes through it.
 *
 *   client ──TLS, HTTP/2 or 1.1──> proxy ──TLS, HTTP/1.1──> kube-apiserver
 *
 * Faults are rules: the first one that matches a request and has hits left is applied. Watches that are open already are
 * disturbed by `watches`. What the API server answers is passed on byte for byte.
 */
import { readFileSync } from "node:fs";
import { constants, createSecureServer } from "node:http2";
import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { statusBody } from "./faults.ts";
import type { Fault } from "./faults.ts";
import { isMatch, RecordedRequest } from "./recording.ts";
import type { Match } from "./recording.ts";
import { OpenWatch } from "./watch.ts";

export interface Upstream {
  readonly url: string;
  /** What the API server's certificate is signed with, as PEM. */
  readonly ca: string;
  /** What the proxy shows to clients, and what they trust: the API server's own where we have it. */
  readonly serving: { readonly cert: string; readonly key: string };
}

/** A fault that waits for its requests. */
export interface Rule {
  /** Requests it was applied to. */
  readonly hits: number;
  remove(): void;
}

interface ActiveRule {
  readonly match: Match;
  readonly fault: Fault;
  left: number;
  hits: number;
}

export class FaultProxy {
  /** https://127.0.0.1:PORT */
  readonly url: string;
  /** All that came in, oldest first. */
  readonly requests: RecordedRequest[] = [];
  readonly #upstream: Upstream;
  readonly #server: Http2SecureServer;
  readonly #agent: Agent;
  readonly #rules: ActiveRule[] = [];
  readonly #watches = new Set<OpenWatch>();
  /** By the client's port: a response knows no more than that of its connection. */
  readonly #connections = new Map<number, Socket>();

  private constructor(upstream: Upstream, server: Http2SecureServer) {
    this.#upstream = upstream;
    this.#server = server;
    this.#agent = new Agent({ keepAlive: true, ca: upstream.ca });
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket: Socket) => {
      const port = socket.remotePort;
      if (port === undefined) return;
      this.#connections.set(port, socket);
      socket.on("error", () => {}).on("close", () => this.#connections.delete(port));
    });
    server.on("request", (incoming, outgoing) => {
      // A fault, a client that left, an API server that is gone: all end the connection, as without a proxy.
      this.#handle(incoming, outgoing).catch(() => this.#break(outgoing));
    });
    // Clients hang up in the middle of a handshake, and sessions break as the faults want it.
    server.on("sessionError", () => {}).on("tlsClientError", () => {});
  }

  static async start(upstream: Upstream): Promise<FaultProxy> {
    const server = createSecureServer({ ...upstream.serving, allowHTTP1: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new FaultProxy(upstream, server);
  }

  /** A copy of a kubeconfig that leads through the proxy. */
  kubeconfig(of: string, path = `${of}.proxied`): string {
    const { users, contexts } = parse(readFileSync(of, "utf8")) as {
      users: readonly { user: { token: string } }[];
      contexts: readonly { context: { namespace?: string } }[];
    };
    const [user, context] = [users[0], contexts[0]];
    if (user === undefined) throw new Error(`${of} names no user`);
    const namespace = context?.context.namespace;
    return writeKubeconfig(path, {
      url: this.url,
      ca: this.#upstream.serving.cert,
      token: user.user.token,
      ...(namespace === undefined ? {} : { namespace }),
    });
  }

  /** From now on, the next `times` requests that match have this fault. */
  inject(match: Match, fault: Fault, { times = 1 }: { readonly times?: number } = {}): Rule {
    const rule: ActiveRule = { match, fault, left: times, hits: 0 };
    this.#rules.push(rule);
    return {
      get hits() {
        return rule.hits;
      },
      remove: () => {
        rule.left = 0;
      },
    };
  }

  /** Watches that are open now. */
  watches(match: Match = {}): OpenWatch[] {
    return [...this.#watches].filter((watch) => isMatch(match, watch.request));
  }

  /** What was asked, optionally only since an earlier `requests.length`. */
  recorded(match: Match = {}, since = 0): RecordedRequest[] {
    return this.requests.slice(since).filter((one) => isMatch(match, one));
  }

  /** What may have changed something, leases aside: those are renewed all the time. */
  writes(match: Match = {}, since = 0): RecordedRequest[] {
    return this.recorded(match, since).filter(({ info }) => info.isWrite && info.resource !== "leases");
  }

  /** Cuts every connection, as a network does that fails. New ones are let in. */
  cutConnections(): void {
    for (const socket of this.#connections.values()) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.cutConnections();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(incoming: Http2ServerRequest, outgoing: Http2ServerResponse): Promise<void> {
    const body = await bytesOf(incoming);
    const recorded = new RecordedRequest(this.requests.length, incoming, body);
    this.requests.push(recorded);
    const fault = this.#faultFor(recorded);
    if (fault !== undefined) recorded.fault = fault.kind;
    switch (fault?.kind) {
      case "status": {
        const headers = fault.retryAfterSeconds === undefined ? {} : { "retry-after": String(fault.retryAfterSeconds) };
        recorded.status = fault.code;
        outgoing.writeHead(fault.code, { "content-type": "application/json", ...headers });
        outgoing.end(JSON.stringify(statusBody(fault)));
        return;
      }
      case "reset":
        this.#break(outgoing);
        return;
      case "stream-reset":
        if (incoming.httpVersionMajor === 2) outgoing.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
        else this.#break(outgoing);
        return;
      case "hang":
        return; // Whoever asked gives up, or not.
      case "latency":
        await sleep(fault.ms);
        break;
      case "before":
        await fault.run(recorded);
        break;
      default:
    }
    const answer = await this.#forward(incoming, body);
    recorded.status = answer.statusCode;
    if (fault?.kind === "lost-answer") {
      // Read to its end, so that the API server did all it was asked to.
      await bytesOf(answer);
      this.#break(outgoing);
      return;
    }
    if (fault?.kind === "after") await fault.run(recorded);
    if (outgoing.destroyed || outgoing.writableEnded) return void answer.destroy();
    outgoing.writeHead(answer.statusCode ?? 502, passedOn(answer.headers));
    if (recorded.info.verb === "watch" && answer.statusCode === 200)
      await this.#relay(recorded, answer, outgoing, fault);
    else await passAll(answer, outgoing);
  }

  /** Resets the connection that a response belongs to. */
  #break(outgoing: Http2ServerResponse): void {
    const port = outgoing.socket?.remotePort;
    if (port !== undefined) this.#connections.get(port)?.resetAndDestroy();
  }

  #faultFor(recorded: RecordedRequest): Fault | undefined {
    const rule = this.#rules.find(({ match, left }) => left > 0 && isMatch(match, recorded));
    if (rule === undefined) return undefined;
    rule.left -= 1;
    rule.hits += 1;
    return rule.fault;
  }

  #forward(incoming: Http2ServerRequest, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { ...passedOn(incoming.headers), ...(body.length > 0 ? { "content-length": body.length } : {}) };
      const options = { method: incoming.method, headers, agent: this.#agent };
      const asked = request(`${this.#upstream.url}${incoming.url}`, options, (answer) => {
        // Whoever reads it hears of its error; what nobody reads any more may end as it likes.
        resolve(answer.on("error", () => {}));
      });
      asked.on("error", reject);
      incoming.on("close", () => asked.destroyed || incoming.complete || asked.destroy());
      asked.end(body);
    });
  }

  async #relay(recorded: RecordedRequest, answer: IncomingMessage, outgoing: Http2ServerResponse, fault?: Fault) {
    const watch = new OpenWatch(recorded, answer, outgoing, () => this.#break(outgoing));
    if (fault?.kind === "watch") watch.disturb(fault.how);
    this.#watches.add(watch);
    try {
      await watch.run();
    } finally {
      this.#watches.delete(watch);
    }
  }
}

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Headers without those that belong to one connection, which HTTP/2 forbids, and its own pseudo headers. */
function passedOn(headers: Readonly<Record<string, string | readonly string[] | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || CONNECTION_HEADERS.has(name)) continue;
    kept[name] = Array.isArray(value) ? value.join(", ") : String(value);
  }
  return kept;
}

const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

const passAll = (answer: IncomingMessage, outgoing: Http2ServerResponse): Promise<void> =>
  new Promise((resolve, reject) => {
    answer.on("error", reject);
    answer.on("aborted", () => reject(new Error("the API server broke off")));
    answer.on("data", (chunk: Buffer) => outgoing.write(chunk));
    answer.on("end", () => {
      outgoing.end();
      resolve();
    });
    outgoing.on("close", () => {
      answer.destroy();
      resolve();
    });
  });
