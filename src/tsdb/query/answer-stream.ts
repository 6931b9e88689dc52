/**
 * An answer on its way to a client: pieces come in as the worker sends them and go out as the client reads. `onRead` is
 * called for each piece once there is room for another, `onAbandon` when the client goes before the end.
 */
import { Readable } from "node:stream";

export class AnswerStream extends Readable {
  readonly #onRead: () => void;
  readonly #onAbandon: () => void;
  /** Pieces pushed while the stream was full; the next read makes room for all of them. */
  #unread = 0;

  constructor(onRead: () => void, onAbandon: () => void) {
    super({ highWaterMark: 128 * 1024 });
    this.#onRead = onRead;
    this.#onAbandon = onAbandon;
    // A query may fail between the first piece and the moment somebody listens; the reader sees the destroyed stream.
    this.on("error", () => {});
  }

  /** Takes one piece; after the last, nothing more. */
  add(piece: Uint8Array, isLast: boolean): void {
    if (this.destroyed) return;
    const hasRoom = this.push(piece);
    if (isLast) this.push(null);
    else if (hasRoom) this.#onRead();
    else this.#unread++;
  }

  override _read(): void {
    for (; this.#unread > 0; this.#unread--) this.#onRead();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.readableEnded) this.#onAbandon();
    callback(error);
  }
}
