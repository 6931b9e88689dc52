/**
 * The database: head, write-ahead log and head chunk files, from start to close.
 *
 *   write ──▶ Head (kernel memory) ──records──▶ WalWriter ──▶ wal/           acknowledged when durable
 *                └──full chunks───────────────▶ ChunkFileWriter ──▶ chunks_head/
 *   start:  chunks_head/ ──▶ Head, then wal/ ──▶ Head (db/replay.ts), repairs, then writes
 *
 * States: db/states.ts.
 */
import { join } from "node:path/posix";
import type { Timer } from "../base/clock.ts";
import { messageOf, TsdbError } from "../base/errors.ts";
import { removeTemporaries } from "../base/replace-file.ts";
import { Admin } from "./db/admin.ts";
import type {
  AdminApi,
  DamageReport,
  DatabaseApi,
  DatabaseOptions,
  DatabaseState,
  DatabaseStats,
  ReloadableOptions,
} from "./db/api.ts";
import { ReaderSlots } from "./db/reader-slots.ts";
import { HANDOVER_FILE, readHandOver } from "./db/handover.ts";
import { makeDir } from "./db/make-dir.ts";
import { ReplayDrain, replayLog, type ReplayProgress } from "./db/replay.ts";
import { HeadFlushSource } from "./db/head-flush-source.ts";
import { DiskSpace, isOutOfSpace } from "./db/disk-space.ts";
import { Controls } from "./db/controls.ts";
import { SETTINGS_FILE } from "./db/kept-settings.ts";
import { Maintenance } from "./db/maintenance.ts";
import type { HeadNow } from "./db/head-watch.ts";
import type { HeldView } from "./db/views.ts";
import { meaningOf, type Phase, type StateFacts, stateOf, type WriteObstacles } from "./db/states.ts";
import { chunkFileIndexOf } from "./head/chunk-file-format.ts";
import type { RetentionState } from "./compact/retention.ts";
import { BLOCK_RANGE_MS } from "./db/flush-policy.ts";
import { loadChunkFiles } from "./head/chunk-file-loader.ts";
import { ChunkFileWriter } from "./head/chunk-files.ts";
import { Collector } from "./head/collector.ts";
import { Head } from "./head/head.ts";
import type { HeadAttachment } from "./head/head-storage.ts";
import { HeadReplay } from "./head/replay.ts";
import type { WriteRequest, WriteResult } from "./storage.ts";
import { segmentIndexOf, segmentName } from "./wal/format.ts";
import type { LogSummary, Loss, Repair } from "./wal/log.ts";
import { repairSegment } from "./wal/repair.ts";
import { SegmentList } from "./wal/segments.ts";
import { WalWriter } from "./wal/writer.ts";

export type * from "./db/api.ts";
export type { HeadAttachment } from "./head/head-storage.ts";

const CHUNK_FILE_BYTES_MAX = 128 * 1024 * 1024;
/** Between two attempts to repair the log while the disk does not let us. */
const REPAIR_RETRY_MS = 2_000;
/** Blocks of full chunks that wait: from here on the next sync, which lets them go, does not wait for its time. */
const BLOCKS_WAITING_MAX = 16;
/** All there is: without a log nothing has to be durable before it goes to a chunk file. */
const ANY_SEQUENCE = Number.MAX_SAFE_INTEGER;

export class Database implements DatabaseApi {
  readonly #options: DatabaseOptions;
  readonly #chunkDir: string;
  readonly #head: Head;
  readonly #collector: Collector;
  readonly #segments: SegmentList;
  readonly #slots: ReaderSlots;
  readonly #damage: DamageReport[] = [];
  readonly #refused: Record<string, number> = {};
  readonly #controls: Controls;
  readonly #disk: DiskSpace;
  readonly #maintenance: Maintenance;
  readonly admin: AdminApi;
  #phase: Phase = "starting";
  #replay: ReplayProgress = {
    segmentsTotal: 0,
    segmentsDone: 0,
    bytesTotal: 0,
    bytesDone: 0,
    entries: 0,
    durationMs: 0,
  };
  #chunkFiles: ChunkFileWriter | undefined;
  #wal: WalWriter | undefined;
  /** Why the log has not been opened yet. */
  #repairFailure: unknown;
  #repairTimer: Timer | undefined;
  #repairing: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#chunkDir = join(options.dataDir, "chunks_head");
    this.#segments = new SegmentList(options.vfs, options.walDir);
    this.#head = new Head({
      module: options.kernel,
      hashKeys: options.hashKeys,
      walEnabled: options.wal.enabled,
      retentionMs: options.retention.ageMs,
      outOfOrderWindowMs: options.outOfOrderWindowMs ?? 0,
      memtableBytesMax: options.memtableBytesMax,
      chunkFileBytesMax: options.chunkFileBytesMax ?? CHUNK_FILE_BYTES_MAX,
      limits: options.limits,
    });
    this.#collector = new Collector({ memory: this.#head.memory, clock: options.clock, log: options.log });
    this.#slots = new ReaderSlots(this.#head.memory);
    const { vfs, dataDir, clock, log, retention, isReadOnly, diskReserveBytes } = options;
    this.#controls = new Controls({
      vfs,
      dataDir,
      log,
      configured: { retention, isReadOnly: isReadOnly ?? false },
      onChange: () => this.#retentionChanged(),
    });
    this.#disk = new DiskSpace({
      vfs,
      dir: dataDir,
      reserveBytes: diskReserveBytes,
      clock,
      log,
      onChange: () => undefined,
    });
    const { runner, maintenance, random } = options;
    this.#maintenance = new Maintenance({
      flushSource: new HeadFlushSource({
        vfs,
        dataDir,
        head: this.#head,
        collector: this.#collector,
        segments: this.#segments,
        wal: () => this.#wal,
        chunkFiles: () => this.#chunkFiles,
        attach: () => this.attach(),
        detach: (slot) => this.detach(slot),
        log,
      }),
      headNow: () => this.#headNow,
      memtableBytesMax: options.memtableBytesMax,
      runner,
      settings: maintenance,
      limits: () => this.#controls.policy.limits,
      reserveBytes: () => this.#disk.status?.reserveBytes ?? 0,
      retentionState: () => this.#retentionState(),
      isPaused: () => this.#controls.isReadOnly,
      headPart: () => this.#headPart(),
      random,
      clock,
      log,
    });
    this.admin = new Admin({
      controls: this.#controls,
      maintenance: this.#maintenance,
      isOpen: () => this.#phase === "open",
      state: () => this.state,
      facts: () => this.facts,
      mustBeWritable: () => this.#mustBeWritable(),
    });
  }

  get state(): DatabaseState {
    return stateOf(this.#phase, this.#obstacles);
  }

  get facts(): StateFacts {
    return { replay: this.#replay, obstacles: this.#obstacles, disk: this.#disk.status };
  }

  get replay(): ReplayProgress {
    return this.#replay;
  }

  get damage(): readonly DamageReport[] {
    return this.#damage;
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { vfs, dataDir, walDir, clock, log, wal } = this.#options;
    const head = this.#head;
    const segments = this.#segments;
    this.#phase = "replaying";
    for (const dir of [dataDir, walDir, this.#chunkDir]) await makeDir(vfs, dir);
    await removeTemporaries(vfs, dataDir, (name) => name === HANDOVER_FILE || name === SETTINGS_FILE);
    await this.#controls.load();
    await this.#disk.start();
    await removeTemporaries(vfs, walDir, (name) => segmentIndexOf(name) !== undefined);
    await removeTemporaries(vfs, this.#chunkDir, (name) => chunkFileIndexOf(name) !== undefined);

    const startMs = clock.monotonicMs();
    const handOver = await readHandOver(vfs, dataDir, log);
    await this.#maintenance.load(handOver?.beforeMs);
    if (handOver !== undefined) head.setFlushed(handOver.sequence, handOver.beforeMs);
    const into = new HeadReplay(head.memory);
    const check = (): void => {
      if (this.#phase !== "replaying")
        throw new TsdbError("NOT_READY", "The database was stopped while it was starting");
    };
    const loaded = await loadChunkFiles({ vfs, dir: this.#chunkDir, sink: into, log, check });
    head.setChunkPosition(loaded.nextIndex, loaded.nextOffset);
    let drain: ReplayDrain | undefined = new ReplayDrain(head, clock);
    const durableSequence = (): number => drain?.upTo ?? (wal.enabled ? (this.#wal?.synced ?? 0) : ANY_SEQUENCE);
    const onChange = (): void => this.#onChange();
    const files = loaded.files;
    const chunkFiles = new ChunkFileWriter({
      vfs,
      dir: this.#chunkDir,
      source: head,
      files,
      clock,
      log,
      durableSequence,
      onChange,
    });
    this.#chunkFiles = chunkFiles;
    const summary = await replayLog({
      vfs,
      dir: walDir,
      into,
      segments,
      handOver,
      clock,
      check,
      onProgress: (progress) => void (this.#replay = progress),
      makeRoom: async (upTo, isNeeded) => drain?.makeRoom(chunkFiles, upTo, isNeeded, check),
    });
    drain = undefined;
    const durationMs = Math.round(clock.monotonicMs() - startMs);
    this.#replay = { ...this.#replay, durationMs };
    log.info(
      { operation: "replay", entries: summary.records, duration_ms: durationMs, chunks: loaded.chunks },
      "replaying WAL",
    );
    for (const loss of summary.losses) this.#report(loss);
    if (wal.enabled) await this.#openLog(summary, [...summary.repairs]);
    check();
    this.#phase = "open";
    this.#maintenance.start();
  }

  /** Repairs the log, then opens it for writing. What the disk refuses is tried again; until then nothing is written. */
  async #openLog({ lastSequence, nextIndex }: LogSummary, repairs: Repair[]): Promise<void> {
    const { vfs, walDir, clock, log, wal } = this.#options;
    try {
      for (let repair = repairs[0]; repair !== undefined; repair = repairs[0]) {
        const { kind, index, reason } = repair;
        const sizeBytes = await repairSegment(vfs, walDir, repair);
        if (kind !== "copy-aside") this.#segments.replace(index, sizeBytes);
        log.info(
          { operation: "replay", segment: segmentName(index), repair: kind },
          `repaired the write-ahead log: ${reason}`,
        );
        repairs.shift();
      }
    } catch (thrown) {
      this.#repairFailure = thrown;
      log.error({ operation: "replay", err: thrown }, `Cannot repair the write-ahead log: ${messageOf(thrown)}`);
      this.#repairTimer = clock.after(REPAIR_RETRY_MS, () => {
        this.#repairing = this.#openLog({ lastSequence, nextIndex } as LogSummary, repairs);
      });
      return;
    }
    this.#wal = new WalWriter({
      vfs,
      dir: walDir,
      source: this.#head,
      segments: this.#segments,
      clock,
      log,
      sync: wal.sync,
      syncIntervalMs: wal.syncIntervalMs,
      segmentBytesMax: wal.segmentBytesMax,
      nextIndex,
      sequence: lastSequence,
      onChange: () => this.#onChange(),
    });
    this.#onChange();
  }

  #report({ index, offsetBytes, firstSequence, lastSequence, reason }: Loss): void {
    const { walDir, log } = this.#options;
    const file = join(walDir, segmentName(index));
    const message = `Records ${firstSequence} to ${lastSequence} of the write-ahead log are lost: ${reason}`;
    this.#damage.push({ file, offsetBytes, firstSequence, lastSequence, message });
    log.warn(
      {
        operation: "replay",
        file,
        offset_bytes: offsetBytes,
        first_sequence: firstSequence,
        last_sequence: lastSequence,
      },
      message,
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#phase = "stopping";
    this.#repairTimer?.cancel();
    // A start that is under way gives up at its next piece; whoever called it hears of it.
    await this.#starting?.catch(() => undefined);
    await this.#repairing;
    // What retention waits for may be the collector.
    await this.#collector.stop();
    await this.#maintenance.close();
    await this.#disk.stop();
    await this.#controls.close();
    try {
      await this.#wal?.close();
    } finally {
      try {
        await this.#chunkFiles?.close();
      } finally {
        this.#phase = "stopped";
      }
    }
  }

  async write(request: WriteRequest): Promise<WriteResult> {
    try {
      this.#mustBeWritable();
      const { result, sequence } = this.#head.write(request, this.#options.clock.nowMs());
      if (this.#wal === undefined) this.#onChange();
      else {
        if (this.#head.blocksWaiting > BLOCKS_WAITING_MAX && this.#options.wal.sync === "interval")
          this.#wal.requestSync();
        const committed = this.#wal.committed(sequence);
        if (committed !== undefined) await committed;
      }
      return result;
    } catch (thrown) {
      const reason = thrown instanceof TsdbError ? thrown.code.toLowerCase() : "internal";
      this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
      throw thrown;
    }
  }

  #mustBeWritable(): void {
    if (this.#phase === "open" && !this.#isFaulty && !this.#disk.isFull && !this.#controls.isReadOnly) return;
    const { canRead, text } = meaningOf(this.state, this.facts);
    throw new TsdbError(canRead ? "READ_ONLY" : "NOT_READY", text);
  }

  get #isFaulty(): boolean {
    const hasLog = this.#wal !== undefined || !this.#options.wal.enabled;
    return !hasLog || this.#wal?.isFaulty === true || this.#chunkFiles?.isFaulty === true;
  }

  get #obstacles(): WriteObstacles {
    const causes = [
      this.#wal === undefined ? this.#repairFailure : this.#wal.faultCause,
      this.#chunkFiles?.faultCause,
    ].filter((cause) => cause !== undefined);
    // A disk without space is no broken one: that there is none may show in a failed call before it shows in a count.
    const isOutOfSpaceOnly = causes.length > 0 && causes.every(isOutOfSpace);
    return {
      isFaulty: this.#isFaulty && !isOutOfSpaceOnly,
      isDiskFull: this.#disk.isFull || isOutOfSpaceOnly,
      isManual: this.#controls.isMadeReadOnly,
      isConfigured: this.#controls.isConfiguredReadOnly,
    };
  }

  reconfigure({ retention, isReadOnly, diskReserveBytes, maintenance }: ReloadableOptions): void {
    this.#maintenance.reconfigure(maintenance);
    this.#controls.configure({ retention, isReadOnly: isReadOnly ?? false });
    this.#disk.setReserve(diskReserveBytes);
    if (this.#phase === "open" && this.#controls.isReadOnly)
      this.#maintenance
        .pause()
        .catch((thrown: unknown) =>
          this.#options.log.error({ error: messageOf(thrown) }, "maintenance was not stopped"),
        );
  }

  #retentionChanged(): void {
    this.#head.retentionMs = this.#controls.policy.settings.ageMs;
    if (this.#phase === "open") this.#maintenance.retentionChanged();
  }

  /** More of the log is durable, so chunks may go to their files; or something failed, or works again. */
  #onChange(): void {
    // The block that is being filled does not count.
    if (this.#head.blocksWaiting > 1) this.#chunkFiles?.notify();
  }

  attach(): HeadAttachment | undefined {
    if (this.#phase !== "open") return undefined;
    const slot = this.#slots.take();
    if (slot === undefined) return undefined;
    const { module, memory } = this.#head.memory;
    return { module, memory, slot, chunkDir: this.#chunkDir };
  }

  detach(slot: number): void {
    this.#slots.free(slot);
  }

  acquireView(): HeldView {
    return this.#maintenance.blocks.views.acquire();
  }

  get #headNow(): Omit<HeadNow, "floorMs"> {
    const { minTimeMs, maxTimeMs, lateSamples, memoryBytes, samplesTotal } = this.#head.stats();
    return { minTimeMs, maxTimeMs, lateRows: lateSamples, memoryBytes, samplesTotal };
  }

  /** Undefined while there is nothing, or no reader slot is free. */
  #headPart() {
    const { maxTimeMs } = this.#head;
    const head = maxTimeMs === undefined ? undefined : this.attach();
    if (head === undefined || maxTimeMs === undefined) return undefined;
    const sequence = this.#head.memory.i64(this.#head.memory.at.H_WAL_SEQUENCE);
    return {
      part: { head, beforeMs: maxTimeMs + 1, sequence, blockRangeMs: BLOCK_RANGE_MS, reserveBytes: 0 },
      release: () => this.detach(head.slot),
    };
  }

  #retentionState(): RetentionState {
    const { blocks } = this.#maintenance;
    const newest = Math.max(this.#head.maxTimeMs ?? -Infinity, blocks.maxTimeMs ?? -Infinity);
    return {
      nowMs: this.#options.clock.nowMs(),
      newestSampleMs: newest === -Infinity ? undefined : newest,
      otherBytes: this.#segments.sizeBytes + (this.#chunkFiles?.sizeBytes ?? 0),
      // Where the system does not tell, no share of it is too much.
      volumeBytes: this.#disk.status?.totalBytes ?? Infinity,
    };
  }

  stats(): DatabaseStats {
    const head = this.#head.stats();
    const wal = this.#wal?.stats;
    return {
      samplesIngestedTotal: head.samplesTotal,
      duplicatesTotal: head.duplicatesTotal,
      rejectedTotal: this.#head.rejectedTotal,
      requestsRefusedTotal: this.#refused,
      headSeries: head.series,
      headChunks: head.openChunks + head.fullChunks,
      headMinTime: head.minTimeMs,
      headMaxTime: head.maxTimeMs,
      headMemoryBytes: head.memoryBytes,
      headLateSamples: head.lateSamples,
      lateSamplesTotal: head.lateSamplesTotal,
      seriesCreatedTotal: head.seriesCreatedTotal,
      walSizeBytes: this.#segments.sizeBytes,
      walSegment: this.#segments.lastIndex,
      walSyncsTotal: wal?.syncsTotal ?? 0,
      walSyncFailuresTotal: wal?.syncFailuresTotal ?? 0,
      walSyncSecondsTotal: wal?.syncSecondsTotal ?? 0,
      walBytesWrittenTotal: wal?.bytesWrittenTotal ?? 0,
      walCorruptionsTotal: this.#damage.length,
      chunksWrittenTotal: head.chunksSealedTotal,
      chunkFileBytes: this.#chunkFiles?.sizeBytes ?? 0,
      replaySeconds: this.#replay.durationMs / 1000,
      maintenance: this.#maintenance.stats,
      disk: this.#disk.status,
    };
  }
}
