/**
 * Sends ready-made write requests as fast as a server takes them: a few keep-alive connections, each with one request in
 * flight, as senders do. Speaks HTTP on bare sockets, because a full HTTP client costs more per request than the servers
 * that are measured.
 */
import { connect, type Socket } from "node:net";
import type { RequestBody } from "../workloads/write-requests.ts";

/** A whole HTTP request, ready to be sent to any of the servers. */
export interface PreparedRequest {
  readonly lane: number;
  readonly sampleCount: number;
  readonly bytes: Uint8Array;
}

export interface LoadResult {
  readonly sampleCount: number;
  readonly requestCount: number;
  readonly seconds: number;
  /** From the first byte sent to the whole answer. */
  readonly latenciesMs: Float64Array;
  /** Requests that were answered 429 or 503, and sent again after a pause. */
  readonly retries: number;
}

const RETRY_PAUSE_MS = 20;

export function prepare({ lane, sampleCount, body }: RequestBody): PreparedRequest {
  const head =
    "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nContent-Type: application/x-protobuf\r\n" +
    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n" +
    `Content-Length: ${body.byteLength}\r\n\r\n`;
  return { lane, sampleCount, bytes: Buffer.concat([Buffer.from(head), body]) };
}

/** @throws Error with the server's answer when it refuses a request */
export async function sendAll(
  requests: readonly PreparedRequest[],
  { port, connections }: { readonly port: number; readonly connections: number },
): Promise<LoadResult> {
  const queues = Array.from({ length: connections }, (): PreparedRequest[] => []);
  for (const request of requests) queues[request.lane % connections]!.push(request);
  const senders = await Promise.all(
    queues.filter((queue) => queue.length > 0).map((queue) => Sender.open(port, queue)),
  );
  const startMs = performance.now();
  try {
    await Promise.all(senders.map((sender) => sender.run()));
  } finally {
    for (const sender of senders) sender.close();
  }
  return {
    sampleCount: requests.reduce((count, { sampleCount }) => count + sampleCount, 0),
    requestCount: requests.length,
    seconds: (performance.now() - startMs) / 1000,
    latenciesMs: Float64Array.from(senders.flatMap(({ latenciesMs }) => latenciesMs)),
    retries: senders.reduce((count, { retries }) => count + retries, 0),
  };
}

/** One connection and the requests that go through it. */
class Sender {
  readonly latenciesMs: number[] = [];
  retries = 0;
  readonly #socket: Socket;
  readonly #queue: readonly PreparedRequest[];
  #next = 0;
  #sentMs = 0;
  #answer = "";
  #done: (error?: Error) => void = () => {};

  private constructor(socket: Socket, queue: readonly PreparedRequest[]) {
    this.#socket = socket;
    this.#queue = queue;
    socket.on("error", (error) => this.#done(error));
    socket.on("close", () => this.#done(new Error("the server closed the connection")));
  }

  static open(port: number, queue: readonly PreparedRequest[]): Promise<Sender> {
    return new Promise((resolve, reject) => {
      // One buffer for all that is read: answers are short, and allocating for each would be a tenth of the work.
      const socket = connect({
        port,
        host: "127.0.0.1",
        noDelay: true,
        onread: {
          buffer: new Uint8Array(16 * 1024),
          callback: (bytes, buffer) => sender.#receive(buffer, bytes),
        },
      });
      const sender = new Sender(socket, queue);
      sender.#done = (error) => reject(error ?? new Error("the connection ended"));
      socket.once("connect", () => resolve(sender));
    });
  }

  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#done = (error) => (error === undefined ? resolve() : reject(error));
      this.#send();
    });
  }

  close(): void {
    this.#done = () => {};
    this.#socket.destroy();
  }

  #send(): void {
    const request = this.#queue[this.#next];
    if (request === undefined) return this.#done();
    this.#sentMs = performance.now();
    this.#socket.write(request.bytes);
  }

  #receive(buffer: Uint8Array, bytes: number): boolean {
    this.#answer += Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString("latin1");
    if (!isWhole(this.#answer)) return true;
    const answer = this.#answer;
    this.#answer = "";
    const status = Number(answer.slice(9, 12));
    if (status === 503 || status === 429) {
      this.retries++;
      setTimeout(() => this.#send(), RETRY_PAUSE_MS);
    } else if (status >= 300) this.#done(new Error(`A write was answered: ${answer.slice(0, 600)}`));
    else {
      this.latenciesMs.push(performance.now() - this.#sentMs);
      this.#next++;
      this.#send();
    }
    return true;
  }
}

function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  if (answer.startsWith("204", 9)) return true;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer);
  return length !== null && answer.length >= headEnd + 4 + Number(length[1]);
}
