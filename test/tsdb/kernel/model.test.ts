/**
 * The head's tables against Maps: random operations on the debug build, whose canaries check every recycled cell, and on a
 * twin that does the same by the book. A run is repeated by its seed.
 */
import { expect, test } from "vitest";
import { decodeRecordHeader, RECORD_DELETES, RECORD_HEADER_BYTES, recordCrc } from "../../../src/tsdb/wal/format.ts";
import { COLLECT, DELETE_OVERLOADED, INGEST, REENCODE_DONE, REPLAY } from "../../../src/tsdb/kernel/head-exports.ts";
import type { Matcher } from "../../../src/tsdb/model/matcher.ts";
import { HeadTwin, keyOf, visible, type TwinHeadSeries, type TwinLimits } from "../../support/head-twin.ts";
import { CHUNK_ENTRY_HEADER_BYTES, type FoundChunk, KernelHead } from "../../support/kernel-head.ts";
import { RandomRequests } from "../../support/random-requests.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { expectSame } from "../../support/same-samples.ts";
import { type TwinSample, type TwinSeries, writeRequest } from "../../support/remote-write-twin.ts";
import { decodeDeletes, WalSegmentReader } from "../../support/wal-record-twin.ts";

const RUNS = 4;
const OPERATIONS = 700;
const START_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const LIMITS: TwinLimits = {
  labelsPerSeriesMax: 6,
  labelNameBytesMax: 20,
  labelValueBytesMax: 30,
  seriesPerRequestMax: 500,
  retentionMs: 100 * 86_400_000,
  outOfOrderWindowMs: 3 * 3_600_000,
};
const SLOT = 3;
const PINNED_SLOT = 5;
const VIEW_SLOT = 6;
/** More than all series of a run take: which of them are gone is decided at one moment, which the twin knows. */
const WORK_FOR_ALL = 2 ** 20;

/** Records of a segment and, once they are synced, how far that goes. */
interface Segment {
  readonly records: { readonly sequence: number; readonly type: number; readonly data: Uint8Array }[];
}

class Model {
  readonly #random: Random;
  readonly #requests: RandomRequests;
  readonly head = new KernelHead({ limits: LIMITS });
  readonly twin = new HeadTwin(LIMITS);
  /** The log: what is in doubt after a failed sync stays in its segment, as it may on a disk. */
  readonly #segments: Segment[] = [{ records: [] }];
  #refs = new Map<TwinHeadSeries, number>();
  #nowMs = START_MS;
  #synced = 0;
  #taken = 0;
  #pinned: { readonly chunk: FoundChunk; readonly copy: Uint8Array }[] | undefined;

  constructor(random: Random) {
    this.#random = random;
    this.#requests = new RandomRequests(random);
  }

  step(): void {
    const random = this.#random;
    const dice = random.next();
    if (dice < 0.55) this.#ingest(this.#requests.request(this.#nowMs));
    else if (dice < 0.62) this.#burst();
    else if (dice < 0.66) this.#nowMs += random.pick([1, 15_000, MINUTE_MS, 30 * MINUTE_MS, 150 * MINUTE_MS]);
    else if (dice < 0.74) this.#write(random.chance(0.8));
    else if (dice < 0.8) this.#seal();
    else if (dice < 0.82) this.#drop();
    else if (dice < 0.825) this.#raiseFloor();
    else if (dice < 0.835) this.#delete();
    else if (dice < 0.86) this.#collect();
    else if (dice < 0.88) this.#view();
    else if (dice < 0.91) this.#pin();
    else if (dice < 0.95) this.head.kernel.advanceEpoch();
    else this.check();
  }

  #burst(): void {
    const { series, endMs } = this.#requests.burst(this.#nowMs);
    this.#nowMs = endMs;
    this.#ingest([series]);
  }

  #ingest(request: readonly TwinSeries[]): void {
    const message = writeRequest(request, this.#random.chance(0.5) ? this.#random : undefined);
    const before = this.head.sequence;
    const answer = this.head.ingest(message, this.#nowMs);
    if (answer === INGEST.overloaded) {
      this.#write(true);
      this.head.flush(this.#synced, true);
      return;
    }
    const expected = this.twin.ingest(message, this.#nowMs);
    expect(answer).toEqual({
      accepted: expected.accepted,
      duplicates: expected.duplicates,
      rejected: expected.rejected,
    });
    expect(this.head.sequence).toBe(before + (expected.stored.length > 0 ? 1 : 0));
    if (expected.stored.length > 0) {
      this.#logged.push(expected.stored.map(({ series, ...sample }) => ({ ...sample, labels: series.labels })));
    }
    this.#nowMs += 500;
  }
  /** What each record must say, from sequence 1 on. */
  readonly #logged: unknown[] = [];

  /** Brings records to the log; a sync may fail, and then all that is in doubt is written again to a fresh segment. */
  #write(succeeds: boolean): void {
    const { kernel } = this.head;
    this.#take();
    if (succeeds) {
      this.#synced = this.#taken;
      kernel.setSynced(BigInt(this.#synced));
      if (this.#random.chance(0.3)) {
        kernel.beginSegment();
        this.#segments.push({ records: [] });
      }
      return;
    }
    this.#segments.push({ records: [] });
    for (let from = 0; from !== REENCODE_DONE;) {
      from = kernel.reencodePending(from) >>> 0;
      this.#take();
    }
  }

  #take(): void {
    const bytes = this.head.takeRecords();
    for (let at = 0; at < bytes.length;) {
      const { type, sequence, dataBytes, syncedUpTo, crc } = decodeRecordHeader(bytes, at);
      expect(recordCrc(bytes, at, dataBytes)).toBe(crc);
      expect(syncedUpTo).toBeLessThanOrEqual(this.#synced);
      const start = at + RECORD_HEADER_BYTES;
      this.#segments[this.#segments.length - 1]!.records.push({
        sequence,
        type,
        data: bytes.slice(start, start + dataBytes),
      });
      this.#taken = sequence;
      at = start + dataBytes;
    }
  }

  #seal(): void {
    const random = this.#random;
    if (random.chance(0.3)) {
      // A write that fails: the same block comes again.
      const first = this.head.takeBlock(this.#synced, true);
      if (first === undefined) return;
      this.head.kernel.sealUntake();
      const again = this.head.takeBlock(this.#synced, true);
      expect(again).toEqual(first);
      this.head.writeBlock(again!);
      this.head.kernel.sealRelease();
      return;
    }
    this.head.flush(this.#synced, random.chance(0.5));
  }

  #drop(): void {
    const before = this.#nowMs - this.#random.below(6 * 3_600_000);
    const { sequence: newest } = this.twin;
    const sequence = this.#random.chance(0.5) ? Number.POSITIVE_INFINITY : Math.max(0, newest - this.#random.below(40));
    const expected = this.twin.dropChunks(before, sequence);
    expect(this.head.kernel.dropChunks(0, 2 ** 28, before, sequence)).toBe(expected);
  }

  /** Deletes a range of some series. */
  #delete(): void {
    const random = this.#random;
    this.check();
    const refs = this.head.select(SLOT, [], -Number.MAX_VALUE, Number.MAX_VALUE).filter(() => random.chance(0.3));
    const maxt = this.#nowMs - random.below(3 * 3_600_000);
    const mint = random.chance(0.2) ? -(2 ** 53) : maxt - random.below(3 * 3_600_000);
    const { memory, kernel } = this.head;
    memory.words.set(refs, memory.u32(memory.at.H_SERIES_ROWS) >>> 2);
    const count = kernel.deleteSamples(refs.length, mint, maxt);
    if (count === DELETE_OVERLOADED) return;
    const series = refs.map((ref) => this.twin.series.get(keyOf(this.head.labelsOf(ref)))!);
    const noted = this.twin.delete(series, mint, maxt);
    expect(count).toBe(noted.length);
    const refOf = new Map(series.map((one, i) => [one, refs[i]!]));
    if (count > 0)
      this.#logged.push(noted.map((del) => ({ ref: refOf.get(del.series), mint: del.mint, maxt: del.maxt })));
  }

  #raiseFloor(): void {
    const beforeMs = this.#nowMs - this.#random.below(4 * 3_600_000);
    this.head.raiseFloor(beforeMs);
    this.twin.raiseFloor(beforeMs);
  }

  /** Begins a pass over all series or goes on with one, in slices between which everything else may happen. */
  #collect(): void {
    const { kernel } = this.head;
    if (!this.#isCollecting) {
      kernel.collectBegin();
      const code = kernel.collectSome(WORK_FOR_ALL);
      if (code === COLLECT.unsynced) return;
      expect(code).toBe(COLLECT.more);
      this.twin.collect();
      this.#isCollecting = true;
    }
    for (let slices = this.#random.below(20); slices > 0 && this.#isCollecting; slices--) {
      this.#isCollecting = kernel.collectSome(1 + this.#random.below(200)) === COLLECT.more;
    }
  }
  #isCollecting = false;
  /** Under which ref the log last names a series. */
  readonly #loggedRefs = new Map<string, number>();

  /** A reader whose view stays over other operations: the labels of what it has found must not change meanwhile. */
  #view(): void {
    const { kernel } = this.head;
    if (this.#viewed !== undefined) {
      for (const [ref, labels] of this.#viewed) expect(keyOf(this.head.labelsOf(ref))).toBe(labels);
      kernel.unpinView(VIEW_SLOT);
      this.#viewed = undefined;
      return;
    }
    kernel.pinView(VIEW_SLOT);
    const refs = this.head.select(VIEW_SLOT, [], -Number.MAX_VALUE, Number.MAX_VALUE);
    this.#viewed = new Map(refs.map((ref) => [ref, keyOf(this.head.labelsOf(ref))]));
  }
  #viewed: ReadonlyMap<number, string> | undefined;

  /** A reader that stays pinned over other operations: what it was pointed at must not change meanwhile. */
  #pin(): void {
    const { kernel } = this.head;
    if (this.#pinned !== undefined) {
      for (const { chunk, copy } of this.#pinned) expect(Buffer.compare(chunk.bytes, copy)).toBe(0);
      kernel.unpin(PINNED_SLOT);
      this.#pinned = undefined;
      return;
    }
    const refs = this.head.select(PINNED_SLOT, [], 0, Number.MAX_VALUE);
    kernel.pin(PINNED_SLOT);
    // Open chunks are copied to the slot's scratch, which the next gather of this slot writes over; there is none.
    this.#pinned = this.head.gather(PINNED_SLOT, refs.slice(0, 50), 0, Number.MAX_VALUE).map((chunk) => ({
      chunk,
      copy: Uint8Array.from(chunk.bytes),
    }));
  }

  check(): void {
    const { head, twin } = this;
    const { at } = head.memory;
    expect(head.memory.u32(at.H_SERIES_COUNT)).toBe(twin.series.size);
    const chunks = [...twin.series.values()].map(({ chunkStarts, droppedChunks }) => ({
      full: Math.max(0, chunkStarts.length - 1 - droppedChunks),
      open: droppedChunks < chunkStarts.length ? 1 : 0,
    }));
    expect(head.memory.u32(at.H_FULL_CHUNKS)).toBe(chunks.reduce((sum, { full }) => sum + full, 0));
    expect(head.memory.u32(at.H_OPEN_CHUNKS)).toBe(chunks.reduce((sum, { open }) => sum + open, 0));
    this.#checkSelection();
    this.#checkSamples();
  }

  /** Random matchers find what a filter over all series finds. */
  #checkSelection(): void {
    const random = this.#random;
    const matchers = Array.from({ length: random.below(4) }, (): Matcher => {
      const type = random.pick(["=", "!=", "=~", "!~"] as const);
      const name = random.pick(["__name__", "a", "b", "host", "nowhere", "__proto__"]);
      const value =
        type === "=" || type === "!="
          ? random.pick(["", "v1", "up", "h1"])
          : random.pick(["", "v.*", "v1|v2", ".+", ".*"]);
      return { type, name, value };
    });
    const found = this.head.select(SLOT, matchers, -Number.MAX_VALUE, Number.MAX_VALUE);
    const expected = [...this.twin.series.values()].filter(
      (series) =>
        matchers.every(({ type, name, value }) => {
          const text = series.labels.find(([labelName]) => labelName === name)?.[1] ?? "";
          const isMatch = type === "=" || type === "!=" ? text === value : new RegExp(`^(?:${value})$`).test(text);
          return isMatch === (type === "=" || type === "=~");
        }) && HeadTwin.isFound(series),
    );
    expect(new Set(found.map((ref) => keyOf(this.head.labelsOf(ref))))).toEqual(
      new Set(expected.map(({ labels }) => keyOf(labels))),
    );
    expect(found.length).toBe(expected.length);
  }

  /** Everything, and everything in a range, is read back bit for bit. */
  #checkSamples(): void {
    const refs = this.head.select(SLOT, [], -Number.MAX_VALUE, Number.MAX_VALUE);
    const isWhole = this.#random.chance(0.3);
    const maxt = isWhole ? Number.MAX_VALUE : this.#nowMs - this.#random.below(8 * 3_600_000);
    const mint = isWhole ? -Number.MAX_VALUE : maxt - this.#random.below(8 * 3_600_000);
    const found = this.head.samplesOf(SLOT, refs, mint, maxt);
    refs.forEach((ref, i) => {
      const series = this.twin.series.get(keyOf(this.head.labelsOf(ref)))!;
      this.#refs.set(series, ref);
      const inRange = ({ timestampMs }: TwinSample): boolean => timestampMs >= mint && timestampMs <= maxt;
      expectSame(found[i]!.filter(inRange), HeadTwin.samplesOf(series).filter(inRange));
    });
  }

  /**
   * Each record says what its request came to; and a head that is filled from files and log is the same head.
   * @returns how many records there are
   */
  checkLog(): number {
    this.#write(true);
    this.check();
    const says = new Map<number, unknown>();
    for (const { records } of this.#segments) {
      const reader = new WalSegmentReader();
      for (const { sequence, type, data } of records) {
        const rows =
          type === RECORD_DELETES
            ? decodeDeletes(data)
            : reader.decode(data).rows.map(({ ref, ...sample }) => {
                const labels = reader.labelsOf(ref)!;
                this.#loggedRefs.set(keyOf(labels), ref);
                return { ...sample, labels };
              });
        // A record that was written again says the same again.
        if (says.has(sequence)) expect(rows).toEqual(says.get(sequence));
        says.set(sequence, rows);
      }
    }
    this.#logged.forEach((stored, i) => {
      expect(says.get(i + 1)).toEqual(stored);
    });
    expect(says.size).toBe(this.#logged.length);

    for (const withFiles of [false, true]) this.#checkReplay(withFiles);
    // And when a part of it is said to be in blocks, that part is not there.
    for (const withFiles of [false, true]) {
      const sequence = this.#random.between(1, this.twin.sequence);
      this.#checkReplay(withFiles, { sequence, beforeMs: this.#nowMs - this.#random.below(12 * 3_600_000) });
    }
    return says.size;
  }

  #checkReplay(withFiles: boolean, flushed: { sequence: number; beforeMs: number } = NOTHING_FLUSHED): void {
    const { sequence: flushedSequence, beforeMs: floor } = flushed;
    const head = new KernelHead({ limits: LIMITS });
    const { kernel, memory } = head;
    const buffer = memory.u32(memory.at.H_WAL_BUFFER_0);
    if (flushedSequence > 0) {
      memory.setI64(memory.at.H_FLUSHED_SEQUENCE, flushedSequence);
      memory.setI64(memory.at.H_FLUSHED_MS, floor);
    }
    const loadedUpTo = withFiles ? this.#loadFiles(head, floor) : new Map<number, number>();
    for (const { records } of this.#segments) {
      kernel.beginSegment();
      for (const { sequence, type, data } of records) {
        memory.setI64(memory.at.H_WAL_SEQUENCE, sequence - 1);
        memory.bytes.set(data, buffer);
        if (type === RECORD_DELETES) {
          expect(kernel.replayDeletes(buffer, data.length)).toBe(REPLAY.ok);
          continue;
        }
        let code = kernel.replayRecord(buffer, data.length);
        if (code === REPLAY.sealFirst) {
          head.flush(sequence, true);
          code = kernel.replayRecord(buffer, data.length);
        }
        expect(code).toBe(REPLAY.ok);
      }
    }
    // What came back under another ref has left something to collect.
    kernel.collectBegin();
    while (kernel.collectSome(WORK_FOR_ALL) === COLLECT.more);
    const refs = head.select(SLOT, [], -Number.MAX_VALUE, Number.MAX_VALUE, floor);
    const samples = head.samplesOf(SLOT, refs, -Number.MAX_VALUE, Number.MAX_VALUE, { floor });
    // Of series that went away the log still tells, but not of more than the last with the same labels.
    const stored = new Map(
      [...this.twin.collected, ...this.twin.series.values()]
        .filter((series) => series.samples.length + series.lateEver.length > 0)
        .map((series) => [keyOf(series.labels), series]),
    );
    const isLeft = ({ timestampMs }: TwinSample): boolean => Number(timestampMs) >= floor;
    // What retention took before it was in a file does not come back when something newer is in one.
    const expectedOf = (series: TwinHeadSeries, ref: number): TwinSample[] => {
      const newest = loadedUpTo.get(ref) ?? Number.NEGATIVE_INFINITY;
      const isBack = ({ timestampMs }: TwinSample, n: number): boolean =>
        timestampMs > newest || !series.droppedOpen.some(({ from, to }) => n >= from && n < to);
      const isCovered = ({ sequence }: { readonly sequence: number }): boolean => sequence <= flushedSequence;
      return visible(
        series.samples.filter((sample, n) => isBack(sample, n) && isLeft(sample)),
        series.lateEver.filter((row) => isLeft(row) || !isCovered(row)),
        series.deletesEver.filter((del) => Number(del.maxt) >= floor || !isCovered(del)),
      );
    };
    const foundKeys = new Set(refs.map((ref) => keyOf(head.labelsOf(ref))));
    for (const [key, series] of stored) {
      if (!foundKeys.has(key)) expectSame([], expectedOf(series, this.#loggedRefs.get(key)!));
    }
    refs.forEach((ref, i) => {
      const series = stored.get(keyOf(head.labelsOf(ref)))!;
      expect(this.#refs.get(series) ?? ref).toBe(ref);
      expectSame(samples[i]!, expectedOf(series, ref));
    });
  }

  /** @returns the newest time that was loaded, by ref */
  #loadFiles(head: KernelHead, floor: number): Map<number, number> {
    const loadedUpTo = new Map<number, number>();
    for (const [index, bytes] of [...this.head.files].sort(([a], [b]) => a - b)) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = CHUNK_FILE_HEADER_BYTES; at < bytes.length;) {
        const dataBytes = view.getUint32(at + 4, true) >>> 8;
        const mint = Number(view.getBigInt64(at + 12, true));
        const [ref, span] = [view.getUint32(at + 8, true), view.getUint32(at + 20, true)];
        if (mint + span >= floor) {
          expect(head.kernel.loadChunk(ref, mint, span, index, at, dataBytes)).toBe(REPLAY.ok);
          loadedUpTo.set(ref, mint + span);
        }
        at += CHUNK_ENTRY_HEADER_BYTES + dataBytes;
      }
      head.files.set(index, bytes);
    }
    const newest = Math.max(1, ...this.head.files.keys());
    head.memory.setU32(head.memory.at.H_CHUNK_FILE_INDEX, newest + 1);
    return loadedUpTo;
  }
}

const NOTHING_FLUSHED = { sequence: 0, beforeMs: Number.NEGATIVE_INFINITY };
const CHUNK_FILE_HEADER_BYTES = 32;

test("the head does what Maps do, whatever comes in whatever order, and its log and files say the same", () => {
  const firstSeed = seedFromEnv();
  for (let run = 0; run < RUNS; run++) {
    const seed = (firstSeed + run) >>> 0;
    const model = new Model(new Random(seed));
    let operation = 0;
    try {
      for (; operation < OPERATIONS; operation++) model.step();
      expect(model.checkLog()).toBeGreaterThan(0);
    } catch (thrown) {
      throw new Error(`at operation ${operation}; repeat with SEED=${seed} npm test -- kernel/model`, {
        cause: thrown,
      });
    }
  }
});
