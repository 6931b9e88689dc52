/**
 * The blocks that there are, and the view that queries get of them. Every change is one assignment of a whole new list and
 * publishes one new view: no query sees half of a change.
 */
import { compareBlocks } from "../compact/plan.ts";
import type { LoadedBlock } from "../maintenance/protocol.ts";
import { type BlockRef, HEAD_ONLY, type MissingRange } from "../storage.ts";
import { Views } from "./views.ts";

export interface KnownBlock extends LoadedBlock {
  /** Goes up when its tombstones are replaced. */
  readonly tombstonesVersion: number;
}

export interface BlockChange {
  readonly add?: readonly LoadedBlock[];
  /** ULIDs; those that are not there are passed over. */
  readonly remove?: readonly string[];
  /** ULIDs of blocks whose tombstones were replaced. */
  readonly tombstoned?: readonly string[];
  /** In-order samples of the head before this time are in blocks from now on. */
  readonly headFloorMs?: number;
  readonly missing?: readonly MissingRange[];
  /** What a block was found to be like: why not all of it can be read, or, without a reason, sound. */
  readonly judged?: { readonly ulid: string; readonly damage: string | undefined };
}

export class BlockSet {
  readonly views = new Views(HEAD_ONLY);
  #blocks: readonly KnownBlock[] = [];
  #missing: readonly MissingRange[] = [];
  #headFloorMs = HEAD_ONLY.headFloorMs;

  /** In the order in which their samples count. */
  get all(): readonly KnownBlock[] {
    return this.#blocks;
  }

  /** Blocks that were set aside as damaged. */
  get missing(): readonly MissingRange[] {
    return this.#missing;
  }

  get sizeBytes(): number {
    return this.#blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Of the oldest sample, at most; undefined without blocks. */
  get minTimeMs(): number | undefined {
    return this.#blocks.length === 0 ? undefined : Math.min(...this.#blocks.map(({ meta }) => meta.minTime));
  }

  /** Of the newest sample, at least; undefined without blocks. */
  get maxTimeMs(): number | undefined {
    return this.#blocks.length === 0 ? undefined : Math.max(...this.#blocks.map(({ meta }) => meta.maxTime - 1));
  }

  find(ulid: string): KnownBlock | undefined {
    return this.#blocks.find(({ meta }) => meta.ulid === ulid);
  }

  /** Blocks with a part in a range. @param mint @param maxt inclusive, ms */
  overlapping(mint: number, maxt: number): readonly KnownBlock[] {
    return this.#blocks.filter(({ meta }) => meta.minTime <= maxt && meta.maxTime > mint);
  }

  change({ add = [], remove = [], tombstoned = [], headFloorMs, missing = [], judged }: BlockChange): void {
    const gone = new Set(remove);
    const replaced = new Set(tombstoned);
    const kept = this.#blocks
      .filter(({ meta }) => !gone.has(meta.ulid))
      .map((block) =>
        replaced.has(block.meta.ulid)
          ? { ...block, hasTombstones: true, tombstonesVersion: block.tombstonesVersion + 1 }
          : block,
      )
      .map((block) => (block.meta.ulid === judged?.ulid ? { ...block, damage: judged.damage } : block));
    const added = add.map((block) => ({ ...block, tombstonesVersion: 0 }));
    this.#blocks = [...kept, ...added].sort((a, b) => compareBlocks(a.meta, b.meta));
    this.#missing = [...this.#missing, ...missing];
    this.#headFloorMs = Math.max(this.#headFloorMs, headFloorMs ?? Number.NEGATIVE_INFINITY);
    this.views.publish({
      blocks: this.#blocks.map(refOf),
      headFloorMs: this.#headFloorMs,
      missing: this.#missing,
    });
  }
}

const refOf = ({ meta: { ulid, minTime, maxTime }, tombstonesVersion }: KnownBlock): BlockRef => ({
  ulid,
  minTime,
  maxTime,
  tombstonesVersion,
});
