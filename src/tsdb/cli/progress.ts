/**
 * How far a long command is: a bar that is drawn over on a terminal, a line now and then elsewhere. It goes to standard
 * error, so that what the command prints can be piped away.
 */
import type { Clock } from "../../base/clock.ts";
import { bytesText, countText } from "./units.ts";

export interface ProgressUpdate {
  readonly done: number;
  /** 0: not known. */
  readonly total: number;
  readonly unit: "bytes" | "series" | "blocks" | "samples";
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_CELLS = 24;
const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 5_000;

export class Progress {
  readonly #stream: ProgressStream;
  readonly #clock: Clock;
  #what = "";
  #nextMs: number;
  #isDrawn = false;

  constructor(stream: ProgressStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#nextMs = clock.monotonicMs() + this.#intervalMs;
  }

  /** @param what is being done, as "verifying 01H..." */
  update(what: string, progress: ProgressUpdate): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextMs && (what === this.#what || this.#stream.isTTY !== true)) return;
    this.#what = what;
    this.#nextMs = nowMs + this.#intervalMs;
    if (this.#stream.isTTY === true) {
      this.#stream.write(`\r${barLine(what, progress).slice(0, (this.#stream.columns ?? 80) - 1)}\u001b[K`);
      this.#isDrawn = true;
    } else this.#stream.write(`${what}: ${doneText(progress)}\n`);
  }

  /** Takes the bar away, for other output or for good. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write("\r\u001b[K");
    this.#isDrawn = false;
  }

  get #intervalMs(): number {
    return this.#stream.isTTY === true ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
  }
}

function barLine(what: string, progress: ProgressUpdate): string {
  const { done, total } = progress;
  if (total <= 0) return `${what}  ${doneText(progress)}`;
  const full = Math.round(Math.min(1, done / total) * BAR_CELLS);
  return `[${"=".repeat(full)}${" ".repeat(BAR_CELLS - full)}] ${what}  ${doneText(progress)}`;
}

function doneText({ done, total, unit }: ProgressUpdate): string {
  const text = (count: number): string => (unit === "bytes" ? bytesText(count) : `${countText(count)} ${unit}`);
  if (total <= 0) return text(done);
  return `${Math.floor(Math.min(1, done / total) * 100)} % of ${text(total)}`;
}
