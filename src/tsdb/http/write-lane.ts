/**
 * The short way of write requests: below Node's HTTP, on the bare connection. Node's parser, request and response cost as
 * much CPU as storing some two hundred samples, and most requests of most senders carry fewer.
 *
 *   idle ──plain head──▶ receiving ──whole body──▶ storing ──answered──▶ idle
 *    └───anything else──▶ handed over: socket and bytes go to Node's HTTP, for good
 *
 * Every connection begins here. A head is plain when it came in one piece and is, byte for byte, POST /api/v1/write with
 * header lines of the simplest form, one Content-Length, and nothing that asks for more (Transfer-Encoding, Expect,
 * Connection, Upgrade). This file never decides that a request is wrong: whatever it does not know it hands over, so
 * there is one judge of HTTP, and the worst that a gap in here can do is to be slow. Answers are those of
 * write-handler.ts; a test sends the same bytes both ways.
 *
 * Requests of a connection are answered one after another; what comes early waits, and the socket with it.
 */
import { STATUS_CODES, type Server } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../../base/clock.ts";
import type { ErrorAnswer } from "./errors.ts";
import { WriteConnection, type Lane } from "./write-connection.ts";
import type { WriteService } from "./write-service.ts";

export interface WriteLaneOptions {
  /** From a request's first byte to the last of its body. */
  readonly readTimeoutMs: number;
  /** How long a connection may be silent: before its first request, and between two. */
  readonly firstRequestMs: number;
  readonly keepAliveMs: number;
  readonly clock: Clock;
  /** Ends a connection that is too slow, with an answer. */
  readonly refuseSlow: (socket: Socket) => void;
}

const SWEEP_MS = 1000;

export class WriteLane implements Lane {
  readonly service: WriteService;
  readonly #options: WriteLaneOptions;
  #server: Server | undefined;
  /** Node's own listeners of "connection". */
  #http: readonly ((socket: Socket) => void)[] = [];
  readonly #connections = new Set<WriteConnection>();
  #isSweeping = false;
  /** The answer 204, made anew when its date is. */
  #done = Buffer.alloc(0);
  #doneSecond = -1;

  constructor(service: WriteService, options: WriteLaneOptions) {
    this.service = service;
    this.#options = options;
  }

  /** Takes the connections of `server`, which does not listen yet. */
  open(server: Server): void {
    this.#server = server;
    this.#http = server.listeners("connection") as ((socket: Socket) => void)[];
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => this.#accept(socket));
    // Whoever closes the server's connections means these too.
    const closeIdle = server.closeIdleConnections.bind(server);
    const closeAll = server.closeAllConnections.bind(server);
    server.closeIdleConnections = () => {
      for (const connection of this.#connections) if (connection.isIdle) connection.destroy();
      closeIdle();
    };
    server.closeAllConnections = () => {
      for (const connection of this.#connections) connection.destroy();
      closeAll();
    };
  }

  get isClosing(): boolean {
    return this.#server?.listening !== true;
  }

  nowMs = (): number => this.#options.clock.monotonicMs();

  handOver(connection: WriteConnection, socket: Socket, bytes: Buffer): void {
    this.#connections.delete(connection);
    socket.pause();
    socket.unshift(bytes);
    for (const listener of this.#http) listener.call(this.#server, socket);
    socket.resume();
  }

  forget(connection: WriteConnection): void {
    this.#connections.delete(connection);
  }

  answerBytes(result: ErrorAnswer | undefined): Buffer {
    if (result !== undefined) return this.#errorBytes(result);
    const second = Math.floor(this.#options.clock.nowMs() / 1000);
    if (second !== this.#doneSecond || this.isClosing) {
      this.#doneSecond = second;
      this.#done = Buffer.from(this.#headOf(204, ""));
    }
    return this.#done;
  }

  #errorBytes({ status, body, retryAfterSeconds }: ErrorAnswer): Buffer {
    const retryAfter = retryAfterSeconds === undefined ? "" : `Retry-After: ${retryAfterSeconds}\r\n`;
    const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    return Buffer.from(this.#headOf(status, `${retryAfter}Content-Type: application/json\r\n${length}`) + body);
  }

  #headOf(status: number, fields: string): string {
    const date = new Date(this.#options.clock.nowMs()).toUTCString();
    return (
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nX-Content-Type-Options: nosniff\r\n${fields}` +
      `Date: ${date}\r\nConnection: ${this.isClosing ? "close" : "keep-alive"}\r\n\r\n`
    );
  }

  #accept(socket: Socket): void {
    this.#connections.add(new WriteConnection(this, socket));
    if (!this.#isSweeping) this.#sweepLater();
  }

  #sweepLater(): void {
    this.#isSweeping = this.#connections.size > 0;
    if (this.#isSweeping) this.#options.clock.after(SWEEP_MS, () => this.#sweep());
  }

  /** Ends connections that are silent, or slow, for too long. */
  #sweep(): void {
    const { readTimeoutMs, firstRequestMs, keepAliveMs, refuseSlow } = this.#options;
    const nowMs = this.nowMs();
    for (const connection of this.#connections) {
      const ms = nowMs - connection.sinceMs;
      if (connection.isReceiving && ms > readTimeoutMs) connection.abandon(refuseSlow);
      else if (connection.isIdle && ms > (connection.isUsed ? keepAliveMs : firstRequestMs)) connection.destroy();
    }
    this.#sweepLater();
  }
}
