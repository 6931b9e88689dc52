/**
 * Merges blocks as the plan says, and deletes those past the retention. A merge that fails leaves its sources as they are,
 * and they are left alone for a while; one for which the volume has no room waits for room.
 */
import type { Clock } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { type CompactionPlan, compactionRanges, planCompaction } from "../compact/plan.ts";
import { expiredBlocks, type RetentionLimits, type RetentionState } from "../compact/retention.ts";
import type { BlockKeeper } from "./block-keeper.ts";
import { countOf } from "./block-keeper.ts";
import type { BlockSet, KnownBlock } from "./block-set.ts";
import { BLOCK_RANGE_MS } from "./flush-policy.ts";
import type { JobBoard } from "./job-board.ts";

export interface CompactorSettings {
  /** Merges at one time. */
  readonly concurrency: number;
  readonly packed: boolean;
  readonly limits: RetentionLimits;
  readonly reserveBytes: number;
}

export interface CompactorOptions {
  readonly blocks: BlockSet;
  readonly board: JobBoard;
  readonly keeper: BlockKeeper;
  readonly settings: () => CompactorSettings;
  /** What the retention is held against. */
  readonly retentionState: () => RetentionState;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface MergeReport {
  readonly sources: readonly string[];
  /** Undefined when nothing was left of them. */
  readonly block: string | undefined;
}

/** How long blocks are left alone whose merge failed. */
const FAILED_REST_MS = 30 * 60_000;

export class Compactor {
  readonly #options: CompactorOptions;
  /** ULIDs, until when (monotonic) they are left alone. */
  readonly #failedUntilMs = new Map<string, number>();
  readonly deletionsTotal = { age: 0, size: 0 };

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  /** Merges until the plan asks for nothing more. @returns what was merged */
  async compact(signal: AbortSignal): Promise<readonly MergeReport[]> {
    const { settings } = this.#options;
    const reports: MergeReport[] = [];
    const running = new Set<Promise<void>>();
    for (;;) {
      if (signal.aborted) break;
      const plan = running.size < settings().concurrency ? this.#plan() : undefined;
      if (plan === undefined) {
        if (running.size === 0) break;
        await Promise.race(running);
        continue;
      }
      const merging = this.#merge(plan, signal)
        .then((report) => void (report && reports.push(report)))
        .finally(() => running.delete(merging));
      running.add(merging);
    }
    await Promise.all(running);
    return reports;
  }

  /** Writes blocks anew of which something is deleted, without that. @throws as the first that fails */
  async cleanTombstones(signal: AbortSignal): Promise<readonly MergeReport[]> {
    const { blocks, keeper } = this.#options;
    const reports: MergeReport[] = [];
    for (const { meta } of blocks.all.filter(({ hasTombstones }) => hasTombstones)) {
      const { ulid } = meta;
      await keeper.exclusively([ulid], async () => {
        if (blocks.find(ulid) !== undefined) reports.push(await this.#replace([ulid], signal));
      });
    }
    return reports;
  }

  /** Deletes what is past the retention. */
  async applyRetention(): Promise<void> {
    const { blocks, keeper, settings, retentionState, log } = this.#options;
    const expired = expiredBlocks(blocks.all, settings().limits, retentionState());
    if (expired.length === 0) return keeper.retire([]);
    const ulids = expired.map(({ ulid }) => ulid);
    await keeper.exclusively(ulids, () => {
      // A merge that ended in spite of it has put another block in their place, which expires in its turn.
      const left = expired.filter(({ ulid }) => blocks.find(ulid) !== undefined);
      if (left.length === 0) return;
      for (const { reason } of left) this.deletionsTotal[reason]++;
      const gone = left.map(({ ulid }) => ulid);
      blocks.change({ remove: gone });
      log.info({ operation: "retention", blocks: gone }, `deleted ${countOf(gone)} past the retention`);
      keeper.retire(gone);
    });
  }

  #plan(): CompactionPlan | undefined {
    const { blocks, keeper, settings, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [ulid, untilMs] of this.#failedUntilMs) if (untilMs <= nowMs) this.#failedUntilMs.delete(ulid);
    return planCompaction(
      blocks.all.map(({ meta }) => meta),
      {
        rangesMs: compactionRanges(BLOCK_RANGE_MS, settings().limits.ageMs),
        excluded: new Set([...keeper.busy, ...this.#failedUntilMs.keys(), ...damagedOf(blocks.all)]),
      },
    );
  }

  /** Never rejects: what fails is told, and its sources are left alone. */
  async #merge({ sources }: CompactionPlan, signal: AbortSignal): Promise<MergeReport | undefined> {
    const { keeper, clock, log } = this.#options;
    const ulids = sources.map(({ ulid }) => ulid);
    try {
      return await this.#replace(ulids, signal);
    } catch (thrown) {
      const isCanceled = thrown instanceof TsdbError && thrown.code === "CANCELED";
      // Who stopped it has these blocks to itself now.
      if (isCanceled) return undefined;
      for (const ulid of ulids) this.#failedUntilMs.set(ulid, clock.monotonicMs() + FAILED_REST_MS);
      log.error({ operation: "compact", sources: ulids, err: thrown }, `Cannot merge blocks: ${messageOf(thrown)}`);
      try {
        await keeper.suspect(ulids, thrown, signal);
      } catch (again) {
        log.warn({ operation: "verify", err: again }, `Cannot verify blocks: ${messageOf(again)}`);
      }
      return undefined;
    }
  }

  async #replace(ulids: readonly string[], signal: AbortSignal): Promise<MergeReport> {
    const { blocks, board, keeper, settings } = this.#options;
    return keeper.occupy(ulids, signal, async (stop) => {
      const { packed, reserveBytes } = settings();
      const job = { kind: "compact", sources: ulids, packed, reserveBytes } as const;
      const { block } = await board.run<"compact">(job, countOf(ulids), stop);
      blocks.change({ add: block === undefined ? [] : [block], remove: ulids });
      keeper.retire(ulids);
      return { sources: ulids, block: block?.meta.ulid };
    });
  }
}

const damagedOf = (blocks: readonly KnownBlock[]): string[] =>
  blocks.flatMap(({ meta, damage }) => (damage === undefined ? [] : [meta.ulid]));
