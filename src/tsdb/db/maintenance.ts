/**
 * Decides what is done with blocks, and when: merges and retention at an interval, scrubbing all the time and slowly, and
 * what an operator asks for. The work itself is jobs (maintenance/), in threads of their own; here it is only asked for.
 *
 *   rounds   compact + retention (compaction.interval), scrub (one block at a time)
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
import { JobBoard } from "./job-board.ts";
import { Rounds } from "./rounds.ts";
import { Scrubber } from "./scrubber.ts";

export interface MaintenanceOptions {
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

export class Maintenance {
  readonly blocks = new BlockSet();
  readonly board: JobBoard;
  readonly #options: MaintenanceOptions;
  readonly #closing = new AbortController();
  readonly #keeper: BlockKeeper;
  readonly #compactor: Compactor;
  readonly #scrubber: Scrubber;
  readonly #compaction: Rounds;
  readonly #scrubbing: Rounds;
  #settings: MaintenanceSettings;
  /** The last of what was asked for. */
  #asked: Promise<unknown> = Promise.resolve();

  constructor(options: MaintenanceOptions) {
    const { runner, clock, log, limits, reserveBytes, retentionState, isPaused } = options;
    const { blocks } = this;
    this.#options = options;
    this.#settings = options.settings;
    this.board = new JobBoard(runner, clock);
    const { board } = this;
    this.#keeper = new BlockKeeper({ blocks, board, log, closing: this.#closing.signal });
    const keeper = this.#keeper;
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

  /** Finds the blocks that are there. @throws what the disk throws */
  async load(): Promise<void> {
    const { blocks, quarantined } = await this.board.run<"load">({ kind: "load" }, "all", this.#closing.signal);
    this.blocks.change({ add: blocks, missing: quarantined });
  }

  start(): void {
    this.#compaction.start();
    this.#scrubbing.start();
  }

  /** Stops everything within moments; what was under way leaves nothing that counts. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#compaction.stop(), this.#scrubbing.stop()]);
    await this.#asked.catch(() => undefined);
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
    await this.#keeper.stopAll();
    await this.#keeper.settled();
  }

  /** Merges what there is to merge, and deletes what is past the retention. */
  compact(): Promise<CompactReport> {
    return this.#ask(async (signal) => {
      const before = { ...this.#compactor.deletionsTotal };
      await this.#compactor.applyRetention();
      const merges = await this.#compactor.compact(signal);
      const { age, size } = this.#compactor.deletionsTotal;
      return { merges, deletedBlocks: age + size - before.age - before.size };
    });
  }

  deleteSeries(request: DeleteRequest): Promise<DeleteReport> {
    return this.#ask(async (signal) => {
      const touched = this.blocks.overlapping(request.mint, request.maxt).map(({ meta }) => meta.ulid);
      return this.#keeper.exclusively(request.isDryRun ? [] : touched, async () => {
        // A merge that ended in spite of it stands for its sources now.
        const ulids = this.blocks.overlapping(request.mint, request.maxt).map(({ meta }) => meta.ulid);
        if (ulids.length === 0) return { blocks: [], seriesCount: 0, sampleCount: 0 };
        const job = { kind: "delete", ulids, ...request } as const;
        const result = await this.board.run<"delete">(job, countOf(ulids), signal);
        if (!request.isDryRun) this.blocks.change({ tombstoned: result.ulids });
        return { blocks: result.ulids, seriesCount: result.seriesCount, sampleCount: result.sampleCount };
      });
    });
  }

  cleanTombstones(): Promise<CompactReport> {
    return this.#ask(async (signal) => {
      return { merges: await this.#compactor.cleanTombstones(signal), deletedBlocks: 0 };
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
