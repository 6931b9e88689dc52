/**
 * Brings records to the log and says when they are acknowledged. Group commit: while one batch is written and synced, the
 * next gathers at the source, however many requests that are; then it takes one write and one fdatasync. Senders mostly
 * come again as soon as they were answered: the next batch waits a moment for as many as were here last, or they would
 * fall into two halves that take turns, and pay for twice as many syncs.
 *
 *   source: [gathering]──take──▶ [in flight]──write──▶ file ──sync──▶ durable
 *              ▲ committed()         │
 *              └───── failed ◀───────┘   the segment is left alone for ever, the source encodes all that is not durable
 *                                        afresh, and a new segment is begun (docs/decisions/0005-pending-rows.md)
 *
 * `always`: a request is acknowledged when a sync covers its sequence. `interval`: when its write has returned; a sync
 * follows within the interval. Whatever fails in the segment begun after a failure makes the writer faulty: everybody who
 * waits is refused, and a fresh segment is tried every few seconds until one succeeds.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { nextTurn } from "../../base/turn.ts";
import type { Vfs } from "../../base/vfs.ts";
import { encodeMark, segmentName } from "./format.ts";
import { createSegment, type OpenSegment } from "./open-segment.ts";
import type { SegmentList } from "./segments.ts";
import { Waiters } from "./waiters.ts";

/** Records on their way to the log, all for one segment. */
export interface WalBatch {
  /** Valid until the batch is released. */
  readonly bytes: Uint8Array;
  readonly lastSequence: number;
  /** Of `bytes`, how many declare symbols and series. */
  readonly declaredBytes: number;
  /** No sample in it is newer. */
  readonly maxTimeMs: number;
}

/** Where records gather. All calls are synchronous. */
export interface WalSource {
  /** The records gathered so far; the next ones gather elsewhere. Undefined when there are none. */
  take(): WalBatch | undefined;
  /** The bytes of the batch taken last are no longer needed. */
  release(): void;
  /** Records from now on are for a fresh segment. */
  beginSegment(): void;
  /** As beginSegment; and all records that are not durable are gathered once more, for that segment. */
  restart(): void;
  /** All up to this sequence is durable. */
  setSynced(sequence: number): void;
  /** Between 0 and 1: how much of the room for what is not durable is taken. */
  readonly unsyncedShare: number;
}

export interface WalWriterOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  readonly source: WalSource;
  readonly segments: SegmentList;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sync: "always" | "interval";
  readonly syncIntervalMs: number;
  /** Bytes of samples, declarations not counted: with many series these alone may be more. */
  readonly segmentBytesMax: number;
  /** Of the next segment. */
  readonly nextIndex: number;
  /** All up to it is durable already. */
  readonly sequence: number;
  /** Called when more has become durable, and when the writer has become faulty or recovered. */
  readonly onChange: () => void;
}

export interface WalWriterStats {
  readonly syncsTotal: number;
  readonly syncFailuresTotal: number;
  readonly syncSecondsTotal: number;
  readonly bytesWrittenTotal: number;
}

/** Between two attempts to begin a segment while the disk does not take one. */
const RETRY_MS = 2_000;
/** More than this share of the room for unsynced records: the next sync does not wait for its time. */
const UNSYNCED_SHARE_MAX = 0.4;

/** Turns of the event loop that a batch waits for senders to come again: a fraction of a millisecond when nothing happens. */
const REGROUP_TURNS_MAX = 20;

export class WalWriter {
  readonly #options: WalWriterOptions;
  readonly #stats = { syncsTotal: 0, syncFailuresTotal: 0, syncSecondsTotal: 0, bytesWrittenTotal: 0 };
  #segment: OpenSegment | undefined;
  #nextIndex: number;
  /** Sequences: handed out by the source; written; durable. */
  #taken: number;
  #written: number;
  #synced: number;
  /** Requests that wait for the batch that gathers, and for the one in flight. */
  #gathering: Waiters | undefined;
  #inFlight: Waiters | undefined;
  /** How many waited, in flight and gathering, when a batch was acknowledged last. */
  #lastCount = 0;
  #running: Promise<void> | undefined;
  #isScheduled = false;
  #syncing: Promise<void> | undefined;
  /** A sync has failed: its segment must be given up, and is never synced again. */
  #syncFailure: { readonly segment: OpenSegment; readonly cause: unknown } | undefined;
  /** Since all that was not durable was durable again. */
  #failures = 0;
  #needsRestart = false;
  #needsCut = false;
  #isFaulty = false;
  #faultCause: unknown;
  #isClosing = false;
  #syncTimer: Timer | undefined;
  #retryTimer: Timer | undefined;

  constructor(options: WalWriterOptions) {
    this.#options = options;
    this.#nextIndex = options.nextIndex;
    this.#taken = this.#written = this.#synced = options.sequence;
  }

  /** Whether the disk takes no records: every write would be refused. */
  get isFaulty(): boolean {
    return this.#isFaulty;
  }

  /** What failed last; undefined unless the writer is faulty. */
  get faultCause(): unknown {
    return this.#isFaulty ? this.#faultCause : undefined;
  }

  /** All up to this sequence is durable. */
  get synced(): number {
    return this.#synced;
  }

  get stats(): WalWriterStats {
    return this.#stats;
  }

  /**
   * Resolves when all up to `sequence`, at most the newest at the source, is acknowledged; undefined when it is already.
   * @throws TsdbError OVERLOADED, READ_ONLY when its write failed; it may be in the log nevertheless
   */
  committed(sequence: number): Promise<void> | undefined {
    const acknowledged = this.#options.sync === "always" ? this.#synced : this.#written;
    if (sequence <= acknowledged) return undefined;
    if (sequence <= this.#taken && this.#inFlight !== undefined) return this.#inFlight.join();
    this.#gathering ??= new Waiters();
    this.#schedule();
    return this.#gathering.join();
  }

  /** Resolves once all up to a sequence is synced, in either mode. Rejects as `committed` does. */
  async durable(sequence: number): Promise<void> {
    while (this.#synced < sequence) {
      if (this.#isClosing) throw new TsdbError("NOT_READY", "The database is stopping");
      await this.committed(sequence);
      this.requestSync();
      await this.#syncing?.catch(() => undefined);
      if (this.#synced < sequence) await nextTurn();
    }
  }

  /** Syncs what is written, now. */
  requestSync(): void {
    const segment = this.#segment;
    if (segment === undefined || this.#written <= this.#synced || this.#syncing !== undefined) return;
    this.#sync(segment).then(
      () => this.#syncLater(),
      () => this.#schedule(),
    );
  }

  /** Leaves the present segment soon, so that it is not held back by what is still to come. */
  cut(): void {
    this.#needsCut = true;
    this.#schedule();
  }

  /**
   * Writes and syncs what is left, and closes. Whoever still waits is answered.
   * @throws what made that impossible; all is closed nevertheless
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#syncTimer?.cancel();
    this.#retryTimer?.cancel();
    await this.#running;
    await this.#run();
    if (!this.#isFaulty && this.#written > this.#synced) await this.#syncAtEnd();
    if (this.#isFaulty) {
      throw new TsdbError("IO", "Cannot close the write-ahead log: its newest records are not on disk");
    }
    await this.#markEnd();
    await this.#closeSegment();
  }

  /** A failure here is one like any other: what is not durable goes to another segment. */
  async #syncAtEnd(): Promise<void> {
    try {
      await this.#sync(this.#segment!);
    } catch (cause) {
      await this.#failed(cause);
      await this.#run();
    }
  }

  /** Tells the next start that all is durable. Without it, that copies the segment to be sure. */
  async #markEnd(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    const mark = encodeMark(this.#synced, undefined);
    try {
      await segment.file.write(mark, segment.sizeBytes);
      await segment.file.sync();
      this.#options.segments.note(segment.index, mark.byteLength, Number.NEGATIVE_INFINITY, 0);
    } catch (cause) {
      this.#options.log.warn({ operation: "wal", err: cause }, `Cannot mark the end of the log: ${messageOf(cause)}`);
    }
  }

  /** Runs at the end of this turn of the event loop, so that requests which came in one turn share a batch. */
  #schedule(): void {
    if (this.#isScheduled || this.#running !== undefined || this.#isClosing) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isFaulty) this.#start();
    });
  }

  #start(): void {
    if (this.#running !== undefined || this.#isClosing) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      // Somebody may have come between the last look and now.
      if (this.#gathering !== undefined || this.#syncFailure !== undefined) this.#schedule();
    });
  }

  /** Writes batches until there is none, or the disk takes none. */
  async #run(): Promise<void> {
    for (;;) {
      try {
        const syncFailure = this.#syncFailure;
        this.#syncFailure = undefined;
        if (syncFailure !== undefined && syncFailure.segment === this.#segment) throw syncFailure.cause;
        if (this.#needsRestart) await this.#restart();
        const batch = this.#options.source.take();
        if (batch === undefined) {
          await this.#cut();
          this.#recovered();
          return;
        }
        await this.#write(batch);
        await this.#regroup();
      } catch (cause) {
        await this.#failed(cause);
        if (this.#isFaulty) return;
      }
    }
  }

  /** Waits for as many requests as there were last, unless there is something else to do. */
  async #regroup(): Promise<void> {
    for (let turn = 0; turn < REGROUP_TURNS_MAX; turn++) {
      if (this.#isClosing || this.#syncFailure !== undefined) return;
      if ((this.#gathering?.count ?? 0) >= this.#lastCount) return;
      await nextTurn();
    }
  }

  async #write(batch: WalBatch): Promise<void> {
    const { source, segmentBytesMax, segments, sync } = this.#options;
    this.#inFlight = this.#gathering ?? new Waiters();
    this.#gathering = undefined;
    this.#taken = batch.lastSequence;
    const sampleBytes = (this.#segment?.sampleBytes ?? 0) + batch.bytes.byteLength - batch.declaredBytes;
    const isLast = sampleBytes >= segmentBytesMax || this.#needsCut;
    this.#needsCut = false;
    // What gathers from this moment on is for the next segment.
    if (isLast) source.beginSegment();
    let segment: OpenSegment;
    try {
      segment = this.#segment ??= await this.#createSegment();
      await segment.file.write(batch.bytes, segment.sizeBytes);
    } finally {
      source.release();
    }
    segment.sizeBytes += batch.bytes.byteLength;
    segment.sampleBytes = sampleBytes;
    this.#stats.bytesWrittenTotal += batch.bytes.byteLength;
    segments.note(segment.index, batch.bytes.byteLength, batch.maxTimeMs, batch.lastSequence);
    this.#written = batch.lastSequence;
    const waitsForSync = sync === "always" || this.#failures > 0;
    if (!waitsForSync) this.#acknowledge();
    if (waitsForSync || isLast) await this.#sync(segment);
    else this.#syncLater();
    if (waitsForSync) {
      this.#acknowledge();
      this.#recovered();
    }
    if (isLast) await this.#closeSegment();
  }

  /** The same when no batch is at hand that could be the segment's last. */
  async #cut(): Promise<void> {
    const segment = this.#segment;
    if (!this.#needsCut || segment === undefined) return;
    this.#needsCut = false;
    this.#options.source.beginSegment();
    await this.#sync(segment);
    await this.#closeSegment();
  }

  #acknowledge(): void {
    this.#lastCount = (this.#inFlight?.count ?? 0) + (this.#gathering?.count ?? 0);
    this.#inFlight?.resolve();
    this.#inFlight = undefined;
  }

  /** One sync at a time: the next one covers what was written during the last. */
  async #sync(segment: OpenSegment): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
    if (this.#written <= this.#synced) return;
    // Another sync of a file that has failed might succeed, and would mean nothing.
    if (this.#syncFailure?.segment === segment) throw this.#syncFailure.cause;
    this.#syncing = this.#syncFile(segment, this.#written);
    try {
      await this.#syncing;
    } finally {
      this.#syncing = undefined;
    }
  }

  async #syncFile(segment: OpenSegment, written: number): Promise<void> {
    const { clock, source, onChange } = this.#options;
    const startMs = clock.monotonicMs();
    try {
      await segment.file.sync();
    } catch (thrown) {
      this.#syncFailure = { segment, cause: thrown };
      this.#stats.syncFailuresTotal++;
      throw thrown;
    }
    this.#stats.syncsTotal++;
    this.#stats.syncSecondsTotal += (clock.monotonicMs() - startMs) / 1000;
    this.#synced = written;
    source.setSynced(written);
    onChange();
  }

  #syncLater(): void {
    if (this.#written <= this.#synced || this.#isClosing) return;
    const { clock, source, syncIntervalMs } = this.#options;
    if (source.unsyncedShare > UNSYNCED_SHARE_MAX) {
      this.requestSync();
      return;
    }
    this.#syncTimer ??= clock.after(syncIntervalMs, () => {
      this.#syncTimer = undefined;
      this.requestSync();
    });
  }

  #createSegment(): Promise<OpenSegment> {
    const { vfs, dir, segments } = this.#options;
    return createSegment({ vfs, dir, segments, index: this.#nextIndex++ });
  }

  /** Lets go of the present segment: full, given up, or at the end. */
  async #closeSegment(): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    try {
      // A failed sync was seen by whoever began it.
      await this.#syncing?.catch(() => undefined);
      await segment.file.close();
    } catch (thrown) {
      this.#options.log.warn({ operation: "wal", segment: segmentName(segment.index) }, messageOf(thrown));
    }
  }

  async #failed(cause: unknown): Promise<void> {
    const { log, onChange, clock } = this.#options;
    const segment = this.#segment === undefined ? undefined : segmentName(this.#segment.index);
    this.#failures++;
    this.#faultCause = cause;
    this.#needsRestart = true;
    // What was written without a sync counts as not written.
    this.#taken = this.#written = this.#synced;
    const isFaulty = this.#failures > 1;
    const message = `Cannot write the write-ahead log: ${messageOf(cause)}`;
    const level = isFaulty && this.#isFaulty ? "debug" : "error";
    log[level]({ operation: "wal", segment, err: cause }, message);
    this.#inFlight?.reject(new TsdbError(isFaulty ? "READ_ONLY" : "OVERLOADED", message, { cause }));
    this.#inFlight = undefined;
    if (isFaulty) {
      this.#gathering?.reject(new TsdbError("READ_ONLY", message, { cause }));
      this.#gathering = undefined;
      this.#isFaulty = true;
      if (!this.#isClosing) {
        this.#retryTimer?.cancel();
        this.#retryTimer = clock.after(RETRY_MS, () => this.#start());
      }
      onChange();
    }
    await this.#closeSegment();
  }

  async #restart(): Promise<void> {
    this.#options.source.restart();
    this.#needsRestart = false;
    // At once, although nothing may gather: whether the disk takes a segment is what must be known.
    this.#segment = await this.#createSegment();
  }

  #recovered(): void {
    this.#failures = 0;
    if (!this.#isFaulty) return;
    this.#isFaulty = false;
    this.#options.log.info({ operation: "wal" }, "the write-ahead log takes records again");
    this.#options.onChange();
  }
}
