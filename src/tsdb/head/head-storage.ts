/**
 * The head as a query worker reads it: attached to the writer's shared memory, in a reader slot of its own. The worker
 * never writes outside its slot and scratch and takes no lock. It pins a view from the opening of a querier to its
 * closing, so that refs and pair ids mean the same all the time, and the epoch of chunks only while it copies one batch:
 * a slow query holds up nothing but the freeing of what series left behind that went away.
 *
 *   matchers → ids of label pairs (here: names, values, regular expressions) → refs (kernel: postings and bitmaps)
 *            → encoded chunks (kernel: open ones from cells, sealed ones from the seal blocks; else from chunk files)
 */
import { realVfs, type Vfs } from "../../base/vfs.ts";
import { compareBytes } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { HeadMemory } from "../kernel/head-memory.ts";
import type { ChunkSource, SourceQuerier, SourceSelection } from "../chunk-source.ts";
import type { Budget, QueryContext } from "../storage.ts";
import { cardinality, type CardinalityStats } from "./cardinality.ts";
import { ChunkFileReader } from "./chunk-file-reader.ts";
import { HeadLabels } from "./head-labels.ts";
import { HeadSelection } from "./head-selection.ts";

/** What a query worker needs in order to attach to the head: plain, cloneable data. */
export interface HeadAttachment {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly slot: number;
  readonly chunkDir: string;
}

export class HeadStorage {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  /** Queriers and the like that are open: the slot has one view for all of them, that of the first. */
  #views = 0;

  constructor(attachment: HeadAttachment, vfs: Vfs = realVfs) {
    this.#memory = HeadMemory.attach(attachment.module, attachment.memory);
    this.#slot = attachment.slot;
    this.#files = new ChunkFileReader({ vfs, dir: attachment.chunkDir });
  }

  /** @param floorMs in-order samples before this are left out: blocks have them */
  source(floorMs: number): ChunkSource {
    return {
      mint: Number.NEGATIVE_INFINITY,
      maxt: Number.POSITIVE_INFINITY,
      querier: (context) =>
        new HeadQuerier(this.#memory, this.#slot, this.#files, context, { floorMs, closeView: this.#openView() }),
    };
  }

  /** Series that match and may have samples in the range, by their refs, which are never used for others. */
  refs(matchers: readonly Matcher[], mint: number, maxt: number, context: QueryContext): Uint32Array {
    const options = { floorMs: Number.NEGATIVE_INFINITY, closeView: this.#openView() };
    const querier = new HeadQuerier(this.#memory, this.#slot, this.#files, context, options);
    try {
      return querier.refs(matchers, mint, maxt);
    } finally {
      querier.close();
    }
  }

  /** Counts over the whole head, of which each list has at most `limit` entries. */
  cardinality(limit: number, budget: Budget): CardinalityStats {
    const closeView = this.#openView();
    try {
      return cardinality(this.#memory, limit, () => budget.check());
    } finally {
      closeView();
    }
  }

  /** @returns what closes it again, once */
  #openView(): () => void {
    const { kernel } = this.#memory;
    if (this.#views++ === 0) kernel.pinView(this.#slot);
    let isOpen = true;
    return () => {
      if (isOpen && --this.#views === 0) {
        kernel.unpinView(this.#slot);
        // A file that is deleted keeps its place on the disk while it is open.
        this.#files.close();
      }
      isOpen = false;
    };
  }

  close(): void {
    this.#memory.kernel.unpin(this.#slot);
    this.#memory.kernel.unpinView(this.#slot);
    this.#files.close();
  }
}

/** Refs between two looks at the budget. */
const CHECK_EVERY = 65_536;

interface QuerierOptions {
  readonly floorMs: number;
  readonly closeView: () => void;
}

class HeadQuerier implements SourceQuerier {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #context: QueryContext;
  readonly #floorMs: number;
  readonly #labels: HeadLabels;
  readonly #closeView: () => void;
  readonly #warnings = new Set<string>();

  constructor(
    memory: HeadMemory,
    slot: number,
    files: ChunkFileReader,
    context: QueryContext,
    options: QuerierOptions,
  ) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
    this.#context = context;
    this.#floorMs = options.floorMs;
    this.#labels = new HeadLabels(memory, slot, context.labels);
    this.#closeView = options.closeView;
  }

  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  select(matchers: readonly Matcher[], mint: number, maxt: number): SourceSelection {
    const refs = this.refs(matchers, mint, maxt);
    return new HeadSelection(this.#memory, this.#slot, this.#files, this.#labels, refs, {
      mint,
      maxt,
      floorMs: this.#floorMs,
      warn: (text) => this.#warnings.add(text),
    });
  }

  labelNames(matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    const names = new Set<string>();
    this.#forEachPair(matchers, mint, maxt, (pairId) => names.add(this.#labels.nameOfPair(pairId)));
    return [...names].sort(compareBytes);
  }

  labelValues(name: string, matchers: readonly Matcher[], mint: number, maxt: number): string[] {
    const nameId = this.#labels.findName(name);
    if (nameId === undefined) return [];
    const { kernel } = this.#memory;
    const values = new Set<string>();
    this.#forEachPair(matchers, mint, maxt, (pairId) => {
      if (kernel.pairNameId(pairId) === nameId) values.add(this.#labels.valueOfPair(pairId));
    });
    return [...values].sort(compareBytes);
  }

  /** Calls `visit` once for each label pair that a matching series has. */
  #forEachPair(matchers: readonly Matcher[], mint: number, maxt: number, visit: (pairId: number) => void): void {
    const seen = new Set<number>();
    const refs = this.refs(matchers, mint, maxt);
    for (let i = 0; i < refs.length; i++) {
      if (i % CHECK_EVERY === 0) this.#context.budget.check();
      for (const pairId of this.#labels.pairsOf(refs[i]!)) {
        if (seen.has(pairId)) continue;
        seen.add(pairId);
        visit(pairId);
      }
    }
  }

  close(): void {
    this.#memory.kernel.unpin(this.#slot);
    this.#closeView();
  }

  /** Refs of the series that match and may have samples in the range, ascending. */
  refs(matchers: readonly Matcher[], mint: number, maxt: number): Uint32Array {
    const { kernel } = this.#memory;
    // Before pairs are looked up: a series that comes meanwhile may have pairs that were not there to be found.
    const end = kernel.refCount() >>> 0;
    const plans = matchers.map((matcher) => this.#labels.planMatcher(matcher, this.#context));
    const windowRefs = this.#memory.at.WINDOW_REFS;
    const found: Uint32Array[] = [];
    for (let base = 0; base < end; base += windowRefs) {
      const refs = kernel.selectAll(this.#slot, base, end) >>> 0;
      if (refs === 0) continue;
      for (const { pairIds, subtract } of plans) this.#apply(base, refs, pairIds, subtract);
      for (;;) {
        this.#context.budget.check();
        const count = kernel.selectCollect(this.#slot, base, refs) >>> 0;
        const kept = kernel.selectOverlapping(this.#slot, count, mint, maxt, this.#floorMs) >>> 0;
        const list = kernel.listAddress(this.#slot) >>> 2;
        found.push(this.#memory.words.slice(list, list + kept));
        if (count < kernel.listIdsMax()) break;
      }
    }
    return found.length === 1 ? found[0]! : concatenate(found);
  }

  #apply(base: number, refs: number, pairIds: Uint32Array, subtract: boolean): void {
    const { kernel } = this.#memory;
    const max = kernel.listIdsMax();
    const list = kernel.listAddress(this.#slot) >>> 2;
    for (let from = 0; from < pairIds.length; from += max) {
      const part = pairIds.subarray(from, from + max);
      this.#memory.words.set(part, list);
      this.#context.budget.check();
      kernel.selectUnion(this.#slot, base, refs, part.length);
    }
    kernel.selectApply(this.#slot, refs, subtract ? 1 : 0);
  }
}

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
