/**
 * A watch that goes through the proxy: events as lines of JSON, passed on one by one, and what can be done to them. A line
 * is passed on whole or, where a disturbance says so, cut.
 */
import { StringDecoder } from "node:string_decoder";
import type { IncomingMessage } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { statusBody } from "./faults.ts";
import type { Disturbance } from "./faults.ts";
import type { RecordedRequest } from "./recording.ts";

export class OpenWatch {
  readonly request: RecordedRequest;
  readonly #answer: IncomingMessage;
  readonly #outgoing: Http2ServerResponse;
  readonly #break: () => void;
  #mode: "pass" | "truncate" | "silence" | "hold" = "pass";
  #held: string[] = [];

  constructor(request: RecordedRequest, answer: IncomingMessage, outgoing: Http2ServerResponse, cut: () => void) {
    this.request = request;
    this.#answer = answer;
    this.#outgoing = outgoing;
    this.#break = cut;
  }

  disturb(how: Disturbance): void {
    switch (how) {
      case "end":
        this.#end();
        break;
      case "cut":
        this.#break();
        break;
      case "gone":
      case "error": {
        const status = how === "gone" ? { code: 410, message: "too old resource version" } : { code: 500 };
        this.#outgoing.write(`${JSON.stringify({ type: "ERROR", object: statusBody(status) })}\n`);
        this.#end();
        break;
      }
      case "garbage":
        this.#outgoing.write('{"type":"MODIFIED","object":{"metadata":\n');
        break;
      default:
        this.#mode = how;
    }
  }

  /** After "hold": passes on what was held back, and from now on everything. */
  resume(): void {
    this.#mode = "pass";
    for (const line of this.#held.splice(0)) this.#outgoing.write(line);
  }

  /** Passes events on until either side ends. */
  async run(): Promise<void> {
    // A client must learn that the watch stands before the first event comes.
    (this.#outgoing as unknown as { flushHeaders?: () => void }).flushHeaders?.();
    const decoder = new StringDecoder("utf8");
    let rest = "";
    await new Promise<void>((resolve) => {
      this.#answer.on("data", (chunk: Buffer) => {
        const lines = (rest + decoder.write(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#pass(`${line}\n`);
      });
      this.#answer.on("end", () => this.#mode !== "silence" && this.#end());
      // The API server went away without a word: so does the proxy, unless it plays dead.
      this.#answer.on("error", () => this.#mode !== "silence" && this.#break());
      this.#outgoing.on("close", () => {
        this.#answer.destroy();
        resolve();
      });
    });
  }

  #pass(line: string): void {
    if (this.#outgoing.destroyed || this.#outgoing.writableEnded) return;
    switch (this.#mode) {
      case "pass":
        this.#outgoing.write(line);
        break;
      case "hold":
        this.#held.push(line);
        break;
      case "truncate":
        this.#outgoing.write(line.slice(0, Math.ceil(line.length / 2)));
        this.#end();
        break;
      case "silence":
    }
  }

  #end(): void {
    this.#answer.destroy();
    if (!this.#outgoing.writableEnded) this.#outgoing.end();
  }
}
