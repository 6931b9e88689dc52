/** One connection of write-lane.ts: reads plain write requests, has them stored, and answers, one after another. */
import type { Socket } from "node:net";
import { TsdbError } from "../../base/errors.ts";
import type { WriteRequest } from "../storage.ts";
import type { ErrorAnswer } from "./errors.ts";
import { readPlainHead } from "./plain-head.ts";
import { formatOf } from "./write-media.ts";
import type { WriteService } from "./write-service.ts";

/** What a connection needs of its lane. */
export interface Lane {
  readonly service: WriteService;
  /** Whether the next answer is the connection's last. */
  readonly isClosing: boolean;
  nowMs(): number;
  /** Gives the socket to Node's HTTP, with the bytes that it has to read first. */
  handOver(connection: WriteConnection, socket: Socket, bytes: Buffer): void;
  forget(connection: WriteConnection): void;
  /** A whole answer; `result` undefined: all is stored. */
  answerBytes(result: ErrorAnswer | undefined): Buffer;
}

const NO_BODY = Buffer.alloc(0);
/** Answers that a client did not take yet; one that takes none sends no more. */
const UNREAD_BYTES_MAX = 64 * 1024;

export class WriteConnection {
  /** When the state that it is in began, on the monotonic clock. */
  sinceMs: number;
  /** Whether it had a request yet. */
  isUsed = false;
  readonly #lane: Lane;
  readonly #socket: Socket;
  #state: "idle" | "receiving" | "storing" = "idle";
  /** Of the request that is being received. */
  #format: WriteRequest["format"] = "remote-write";
  /** The body as far as it is here, or why the request will be refused: then its body is read and dropped. */
  #body: Buffer | TsdbError = NO_BODY;
  #receivedBytes = 0;
  #bodyBytes = 0;
  #reservedBytes = 0;
  /** What came behind the request in progress. */
  #early: Buffer | undefined;
  /** The client sends no more, and still waits for its answer. */
  #isHalfClosed = false;

  constructor(lane: Lane, socket: Socket) {
    this.#lane = lane;
    this.#socket = socket;
    this.sinceMs = lane.nowMs();
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClose);
    socket.on("error", ignoreError);
  }

  get isIdle(): boolean {
    return this.#state === "idle";
  }

  get isReceiving(): boolean {
    return this.#state === "receiving";
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends it in the middle of a request, with an answer that `refuse` sends. */
  abandon(refuse: (socket: Socket) => void): void {
    this.#socket.off("data", this.#onData);
    refuse(this.#socket);
  }

  readonly #onData = (bytes: Buffer): void => {
    switch (this.#state) {
      case "idle":
        return this.#begin(bytes);
      case "receiving":
        return this.#receive(bytes);
      case "storing":
        this.#early = this.#early === undefined ? bytes : Buffer.concat([this.#early, bytes]);
        this.#socket.pause();
    }
  };

  readonly #onEnd = (): void => {
    this.#isHalfClosed = true;
    if (this.#state === "idle") this.#socket.end();
    else if (this.#state === "receiving") this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    if (this.#state === "receiving") this.#release();
    this.#lane.forget(this);
  };

  #begin(bytes: Buffer): void {
    const head = readPlainHead(bytes);
    if (head === undefined) return this.#handOver(bytes);
    const { headBytes, contentLength, contentType, contentEncoding } = head;
    const { service } = this.#lane;
    const format = formatOf(contentType, contentEncoding);
    if (format instanceof TsdbError || contentLength > service.bodyBytesMax) return this.#handOver(bytes);
    const reserved = service.reserve(contentLength);
    const refusal = reserved instanceof TsdbError ? reserved : undefined;
    this.#reservedBytes = reserved instanceof TsdbError ? 0 : reserved;
    this.#format = format;
    this.isUsed = true;
    const end = headBytes + contentLength;
    if (bytes.byteLength >= end) {
      if (bytes.byteLength > end) this.#early = bytes.subarray(end);
      return this.#finish(refusal ?? bytes.subarray(headBytes, end));
    }
    this.#state = "receiving";
    this.sinceMs = this.#lane.nowMs();
    this.#body = refusal ?? Buffer.allocUnsafe(contentLength);
    this.#bodyBytes = contentLength;
    this.#receivedBytes = 0;
    this.#receive(bytes.subarray(headBytes));
  }

  #receive(bytes: Buffer): void {
    const missing = this.#bodyBytes - this.#receivedBytes;
    const taken = bytes.byteLength > missing ? bytes.subarray(0, missing) : bytes;
    if (this.#body instanceof Buffer) taken.copy(this.#body, this.#receivedBytes);
    this.#receivedBytes += taken.byteLength;
    if (this.#receivedBytes < this.#bodyBytes) return;
    if (bytes.byteLength > missing) this.#early = bytes.subarray(missing);
    const body = this.#body;
    this.#body = NO_BODY;
    this.#finish(body);
  }

  /** The request is here wholly. */
  #finish(body: Buffer | TsdbError): void {
    this.#state = "storing";
    const { service } = this.#lane;
    if (body instanceof TsdbError) this.#answer(service.refuse(body));
    else void service.store({ format: this.#format, body }).then(this.#answer);
  }

  readonly #answer = (result: ErrorAnswer | undefined): void => {
    this.#release();
    const socket = this.#socket;
    if (socket.destroyed) return;
    const isLast = this.#lane.isClosing || (this.#isHalfClosed && this.#early === undefined);
    socket.write(this.#lane.answerBytes(result));
    if (isLast) socket.end();
    else if (socket.writableLength > UNREAD_BYTES_MAX) socket.destroy();
    else this.#next();
  };

  #next(): void {
    this.#state = "idle";
    this.sinceMs = this.#lane.nowMs();
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    this.#begin(early);
    // Paused for what came early; by now it is taken, or the connection is Node's.
    this.#socket.resume();
  }

  #release(): void {
    this.#lane.service.release(this.#reservedBytes);
    this.#reservedBytes = 0;
  }

  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("close", this.#onClose);
    socket.off("error", ignoreError);
    this.#lane.handOver(this, socket, bytes);
  }
}

/** What follows an error is "close". */
const ignoreError = (): void => {};
