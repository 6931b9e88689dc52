/**
 * Decides what is done with blocks, and when: merges and retention at an interval, scrubbing all the time and slowly, and
 * what an operator asks for. The work itself is jobs (maintenance/), in threads of their own; here it is only asked for.
 *
 *   rounds   flush when the policy says so, compact + retention (compaction.interval), scrub (one block at a time)
 *   asked    compact, delete_series, clean_tombstones, snapshot: one after the other
 *
 * A database that was made read-only by hand has its files left alone, so that they can be copied: rounds rest then.
 */
import type { Clock } from "../../base/clock.ts";
import { TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { RetentionLimits, RetentionState } from "../compact/retention.ts";
import type { MaintenanceRunner, SnapshotJob } from "../maintenance/protocol.ts";
import type {
  CompactReport,
  DeleteReport,
  DeleteRequest,
  MaintenanceSettings,
  MaintenanceStats,
  SnapshotReport,
} from "./api.ts";
import { BlockKeeper, countOf } from "./block-keeper.ts";
import { BlockSet } from "./block-set.ts";
import { Compactor } from "./compactor.ts";
import { completeBefore } from "./flush-policy.ts";
import { Flusher, type FlushReport, type FlushSource } from "./flusher.ts";
import { type HeadNow, HeadWatch } from "./head-watch.ts";
import { JobBoard } from "./job-board.ts";
import { Rounds } from "./rounds.ts";
import { Scrubber } from "./scrubber.ts";

export interface MaintenanceOptions {
  readonly flushSource: FlushSource;
  readonly headNow: () => Omit<HeadNow, "floorMs">;
  readonly memtableBytesMax: number;
  readonly runner: MaintenanceRunner;
  readonly settings: MaintenanceSettings;
  readonly limits: () => RetentionLimits;
  readonly reserveBytes: () => number;
  /** All but what is in blocks. */
  readonly retentionState: () => RetentionState;
  /** Whether files are to be left alone. */
  readonly isPaused: () => boolean;
  /** What the head has, in a reader slot until it is released; undefined when there is nothing, or no slot. */
  readonly headPart: () => { readonly part: SnapshotJob["head"]; readonly release: () => void } | undefined;
  readonly random: (count: number) => Uint8Array;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Between two looks at the head: of a second's writes some MiB stay in memory. */
const FLUSH_LOOK_MS = 5_000;

export class Maintenance {
  readonly blocks = new BlockSet();
  readonly board: JobBoard;
  readonly #options: MaintenanceOptions;
  readonly #closing = new AbortController();
  readonly #keeper: BlockKeeper;
  readonly #flusher: Flusher;
  readonly #watch: HeadWatch;
  readonly #compactor: Compactor;
  readonly #scrubber: Scrubber;
  readonly #flushing: Rounds;
  readonly #compaction: Rounds;
  readonly #scrubbing: Rounds;
  #settings: MaintenanceSettings;
  /** The last of what was asked for. */
  #asked: Promise<unknown> = Promise.resolve();
  /** The last flush or delete: a delete must find what it deletes either in the head or in a block that queries see. */
  #flushOrDelete: Promise<unknown> = Promise.resolve();
  readonly #suspects = new Set<string>();

  constructor(options: MaintenanceOptions) {
    const { runner, clock, log, limits, reserveBytes, retentionState, isPaused } = options;
    const { blocks } = this;
    this.#options = options;
    this.#settings = options.settings;
    this.board = new JobBoard(runner, clock);
    const { board } = this;
    this.#keeper = new BlockKeeper({ blocks, board, log, closing: this.#closing.signal });
    const keeper = this.#keeper;
    this.#flusher = new Flusher({ source: options.flushSource, blocks, board, log });
    this.#watch = new HeadWatch(clock, options.memtableBytesMax);
    this.#flushing = new Rounds({
      operation: "flush",
      restMs: () => FLUSH_LOOK_MS,
      round: async (signal) => {
        const decision = isPaused() ? undefined : this.#watch.decide(this.#headNow);
        if (decision === undefined) return;
        const report = await this.#flush(decision.beforeMs, decision.reason, signal);
        // Not awaited: merging may take minutes, and the head has other things to do.
        if (report !== undefined && report.blocks.length > 0) void this.#compaction.now();
      },
      clock,
      log,
    });
    this.#compactor = new Compactor({
      blocks,
      board,
      keeper,
      settings: () => ({
        concurrency: this.#settings.compaction.concurrency,
        packed: this.#settings.packed,
        limits: limits(),
        reserveBytes: reserveBytes(),
      }),
      retentionState,
      clock,
      log,
    });
    this.#scrubber = new Scrubber({ blocks, keeper, intervalMs: () => this.#settings.scrubIntervalMs, clock, log });
    this.#compaction = new Rounds({
      operation: "compact",
      restMs: () => this.#settings.compaction.intervalMs,
      round: async (signal) => {
        if (isPaused()) return;
        await this.#compactor.applyRetention();
        if (this.#settings.compaction.enabled) await this.#compactor.compact(signal);
      },
      clock,
      log,
    });
    this.#scrubbing = new Rounds({
      operation: "scrub",
      restMs: () => this.#scrubber.restMs(),
      round: (signal) => (isPaused() ? Promise.resolve() : this.#scrubber.round(signal)),
      clock,
      log,
    });
  }

  /** Finds the blocks that are there. @param headFloorMs of the last hand-over @throws what the disk throws */
  async load(headFloorMs: number | undefined): Promise<void> {
    const { blocks, quarantined } = await this.board.run<"load">({ kind: "load" }, "all", this.#closing.signal);
    this.blocks.change({ add: blocks, missing: quarantined, ...(headFloorMs !== undefined && { headFloorMs }) });
  }

  start(): void {
    this.#flushing.start();
    this.#compaction.start();
    this.#scrubbing.start();
    // What the disk failed to read at the start is looked at again.
    for (const { meta, damage } of this.blocks.all) if (damage !== undefined) this.#verify(meta.ulid);
  }

  /** Stops everything within moments; what was under way leaves nothing that counts. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#flushing.stop(), this.#compaction.stop(), this.#scrubbing.stop()]);
    await Promise.allSettled([this.#asked, this.#flushOrDelete]);
    await this.#keeper.settled();
    await this.#options.runner.close();
  }

  reconfigure(settings: MaintenanceSettings): void {
    const isSooner = settings.compaction.intervalMs !== this.#settings.compaction.intervalMs;
    this.#settings = settings;
    if (isSooner) this.#compaction.start();
    this.#scrubbing.start();
  }

  /** Something may be past the retention, or not any more. */
  retentionChanged(): void {
    if (!this.#closing.signal.aborted) void this.#compaction.now();
  }

  /** Files are left alone from now on: resolves when nothing is written. */
  async pause(): Promise<void> {
    await this.#flushOrDelete.catch(() => undefined);
    await this.#keeper.stopAll();
    await this.#keeper.settled();
  }

  /** A query found a block damaged. It is looked at as a whole, once. */
  suspect(ulid: string): void {
    if (this.blocks.find(ulid)?.damage === undefined) this.#verify(ulid);
  }

  #verify(ulid: string): void {
    if (this.#suspects.has(ulid) || this.#closing.signal.aborted) return;
    this.#suspects.add(ulid);
    const { log } = this.#options;
    this.#keeper
      .verify(ulid, this.#closing.signal)
      .catch((thrown: unknown) => log.warn({ operation: "verify", err: thrown }, `Cannot verify block ${ulid}`))
      .finally(() => this.#suspects.delete(ulid));
  }

  get #headNow(): HeadNow {
    return { ...this.#options.headNow(), floorMs: this.blocks.views.current.headFloorMs };
  }

  #flush(beforeMs: number, reason: string, signal: AbortSignal): Promise<FlushReport | undefined> {
    return this.#alone(async () => {
      const report = await this.#flusher.flush(beforeMs, reason, signal);
      if (report !== undefined) this.#watch.flushed(this.#headNow);
      return report;
    });
  }

  /** Flushes and deletes, one after the other. */
  #alone<T>(run: () => Promise<T>): Promise<T> {
    const before = this.#flushOrDelete;
    const alone = (async (): Promise<T> => {
      await before.catch(() => undefined);
      return run();
    })();
    this.#flushOrDelete = alone;
    return alone;
  }

  /** Cuts what is complete, merges what there is to merge, and deletes what is past the retention. */
  compact(): Promise<CompactReport> {
    return this.#ask(async (signal) => {
      const head = this.#headNow;
      const beforeMs = completeBefore(head);
      const flush = beforeMs > head.floorMs ? await this.#flush(beforeMs, "asked", signal) : undefined;
      const before = { ...this.#compactor.deletionsTotal };
      await this.#compactor.applyRetention();
      const merges = await this.#compactor.compact(signal);
      const { age, size } = this.#compactor.deletionsTotal;
      return { cut: flush?.blocks ?? [], merges, deletedBlocks: age + size - before.age - before.size };
    });
  }

  deleteSeries(request: DeleteRequest): Promise<DeleteReport> {
    const { signal } = this.#closing;
    return this.#alone(async () => {
      if (!request.isDryRun) await this.#flusher.complete("before a deletion", signal);
      const touched = this.blocks.overlapping(request.mint, request.maxt).map(({ meta }) => meta.ulid);
      return this.#keeper.exclusively(request.isDryRun ? [] : touched, async () => {
        // Looked at again after each: what is left must be none at the moment in which the blocks are listed.
        while (!request.isDryRun && this.#keeper.hasLeft) await this.#keeper.removeLeft();
        // A merge that ended in spite of it stands for its sources now.
        const ulids = this.blocks.overlapping(request.mint, request.maxt).map(({ meta }) => meta.ulid);
        const { flushSource } = this.#options;
        const head = flushSource.attach();
        if (head === undefined) throw new TsdbError("OVERLOADED", "All reader slots of the head are taken; try again");
        try {
          const job = { kind: "delete", head, ulids, ...request } as const;
          const { headRefs, ...found } = await this.board
            .run<"delete">(job, countOf(ulids), signal)
            .catch((thrown: unknown) => {
              // The tombstones of some may be replaced already: the next attempt finds nothing new to delete in these.
              const hasBegun = !(thrown instanceof TsdbError && thrown.code === "BAD_QUERY");
              if (hasBegun && !request.isDryRun) this.blocks.change({ tombstoned: ulids });
              throw thrown;
            });
          if (!request.isDryRun) {
            this.blocks.change({ tombstoned: found.ulids });
            await flushSource.delete(headRefs, request.mint, request.maxt);
          }
          const { seriesCount, sampleCount } = found;
          return { blocks: found.ulids, seriesCount, sampleCount, headSeriesCount: headRefs.length };
        } finally {
          flushSource.detach(head.slot);
        }
      });
    });
  }

  cleanTombstones(): Promise<CompactReport> {
    return this.#ask(async (signal) => {
      return { cut: [], merges: await this.#compactor.cleanTombstones(signal), deletedBlocks: 0 };
    });
  }

  /** Copies blocks, and what the head has, to a directory of its own. @returns its name under `snapshots/` */
  snapshot(skipHead: boolean): Promise<SnapshotReport> {
    const { reserveBytes, headPart } = this.#options;
    return this.#ask(async (signal) => {
      const held = this.blocks.views.acquire();
      const head = skipHead ? undefined : headPart();
      try {
        const ulids = held.view.blocks.map(({ ulid }) => ulid);
        const name = this.#snapshotName();
        const job = { kind: "snapshot", name, ulids, head: head?.part, reserveBytes: reserveBytes() } as const;
        return await this.board.run<"snapshot">(job, name, signal);
      } finally {
        head?.release();
        held.release();
      }
    });
  }

  /** As Prometheus names them: 20260102T030405Z-6d5e... */
  #snapshotName(): string {
    const { clock, random } = this.#options;
    const time = new Date(clock.nowMs()).toISOString().replace(/[-:]|\.\d+/g, "");
    const suffix = Array.from(random(8), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${time}-${suffix}`;
  }

  get stats(): MaintenanceStats {
    const { board, blocks } = this;
    return {
      blocks: blocks.all.length,
      blockBytes: blocks.sizeBytes,
      blocksWithTombstones: blocks.all.filter(({ hasTombstones }) => hasTombstones).length,
      blocksDamaged: blocks.all.filter(({ damage }) => damage !== undefined).length,
      blocksQuarantined: blocks.missing.length,
      blockMinTime: blocks.minTimeMs,
      blockMaxTime: blocks.maxTimeMs,
      retentionDeletionsTotal: { ...this.#compactor.deletionsTotal },
      scrubbedTotal: this.#scrubber.blocksTotal,
      jobs: {
        flush: board.counts("flush"),
        compact: board.counts("compact"),
        delete: board.counts("delete"),
        snapshot: board.counts("snapshot"),
        verify: board.counts("verify"),
        remove: board.counts("remove"),
      },
    };
  }

  /** One after the other, for they may be asked for faster than they are done. */
  #ask<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    const before = this.#asked;
    const asked = (async (): Promise<T> => {
      await before.catch(() => undefined);
      if (signal.aborted) throw new TsdbError("NOT_READY", "The database is stopping");
      return run(signal);
    })();
    this.#asked = asked;
    return asked;
  }
}
