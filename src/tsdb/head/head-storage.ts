/**
 * The head as a query worker reads it: attached to the writer's shared memory, in a reader slot of its own. The worker
 * never writes outside its slot's scratch, takes no lock, and pins an epoch only while it copies one batch, so a slow
 * query holds up nothing.
 *
 *   matchers → ids of label pairs (here: names, values, regular expressions) → refs (kernel: postings and bitmaps)
 *            → encoded chunks (kernel: open ones from cells, sealed ones from the seal blocks; else from chunk files)
 */
import { messageOf, TsdbError } from "../../base/errors.ts";
import { realVfs, type Vfs } from "../../base/vfs.ts";
import { compareBytes } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { HeadMemory } from "../kernel/head-memory.ts";
import type { LabelTable } from "../promql/label-table.ts";
import type { Budget, ChunkBatch, Querier, QueryContext, SeriesSelection, Storage } from "../storage.ts";
import { CHUNK_XOR } from "../storage.ts";
import { cardinality, type CardinalityStats } from "./cardinality.ts";
import { ChunkFileReader } from "./chunk-file-reader.ts";
import { type ValueTest, valueTest } from "../model/value-test.ts";

/** What a query worker needs in order to attach to the head: plain, cloneable data. */
export interface HeadAttachment {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly slot: number;
  readonly chunkDir: string;
}

export class HeadStorage implements Storage {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;

  constructor(attachment: HeadAttachment, vfs: Vfs = realVfs) {
    this.#memory = HeadMemory.attach(attachment.module, attachment.memory);
    this.#slot = attachment.slot;
    this.#files = new ChunkFileReader({ vfs, dir: attachment.chunkDir });
  }

  querier(context: QueryContext): Querier {
    return new HeadQuerier(this.#memory, this.#slot, this.#files, context);
  }

  /** Counts over the whole head, of which each list has at most `limit` entries. */
  cardinality(limit: number, budget: Budget): CardinalityStats {
    return cardinality(this.#memory, limit, () => budget.check());
  }

  close(): void {
    this.#memory.kernel.unpin(this.#slot);
    this.#files.close();
  }
}

/** Refs between two looks at the budget. */
const CHECK_EVERY = 65_536;
/** Encoded bytes that one batch aims at: enough to make a call worth it, little enough to stay in the cache. */
const SERIES_PER_GATHER = 1024;

class HeadQuerier implements Querier {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #context: QueryContext;
  readonly #labels: HeadLabels;
  readonly #warnings = new Set<string>();

  constructor(memory: HeadMemory, slot: number, files: ChunkFileReader, context: QueryContext) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
    this.#context = context;
    this.#labels = new HeadLabels(memory, slot, context.labels);
  }

  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  select(matchers: readonly Matcher[], mint: number, maxt: number): SeriesSelection {
    const refs = this.#refs(matchers, mint, maxt);
    this.#context.budget.addSeries(refs.length);
    return new HeadSelection(this.#memory, this.#slot, this.#files, this.#labels, refs, {
      mint,
      maxt,
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
    const refs = this.#refs(matchers, mint, maxt);
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
  }

  /** Refs of the series that match and may have samples in the range, ascending. */
  #refs(matchers: readonly Matcher[], mint: number, maxt: number): Uint32Array {
    const { kernel } = this.#memory;
    const plans = matchers.map((matcher) => this.#labels.planMatcher(matcher, this.#context));
    const windowRefs = this.#memory.at.WINDOW_REFS;
    const found: Uint32Array[] = [];
    for (let base = 0; base < kernel.refCount() >>> 0; base += windowRefs) {
      const refs = kernel.selectAll(this.#slot, base) >>> 0;
      for (const { pairIds, subtract } of plans) this.#apply(base, refs, pairIds, subtract);
      for (;;) {
        this.#context.budget.check();
        const count = kernel.selectCollect(this.#slot, base, refs) >>> 0;
        const kept = kernel.selectOverlapping(this.#slot, count, mint, maxt) >>> 0;
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

interface MatcherPlan {
  readonly pairIds: Uint32Array;
  /** Whether series with these pairs are taken away instead of kept. */
  readonly subtract: boolean;
}

/** Names, pairs and label sets of the head, translated to the query's own ids as they are met. */
class HeadLabels {
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #table: LabelTable;
  readonly #decoder = new TextDecoder();
  /** By the head's pair id: the query's + 1. */
  #translated = new Uint32Array(4096);

  constructor(memory: HeadMemory, slot: number, table: LabelTable) {
    this.#memory = memory;
    this.#slot = slot;
    this.#table = table;
  }

  /**
   * What a matcher asks of the postings. A label that a series lacks is the empty string: a matcher that accepts it can
   * only take away the series whose value it does not accept.
   */
  planMatcher(matcher: Matcher, { budget }: QueryContext): MatcherPlan {
    const test = valueTest(matcher);
    const isNegative = matcher.type === "!=" || matcher.type === "!~";
    const acceptsEmpty = test.passes("") !== isNegative;
    // Pairs to look up: those that pass the positive test, or those that fail it.
    const wantsPassing = acceptsEmpty === isNegative;
    if (wantsPassing && test.literals !== undefined) {
      const ids = test.literals.filter((value) => value !== "").map((value) => this.findPair(matcher.name, value));
      return { pairIds: Uint32Array.from(ids.filter((id) => id !== undefined)), subtract: acceptsEmpty };
    }
    return { pairIds: this.#scanPairs(matcher.name, test, wantsPassing, () => budget.check()), subtract: acceptsEmpty };
  }

  #scanPairs(name: string, test: ValueTest, wantsPassing: boolean, check: () => void): Uint32Array {
    const { kernel } = this.#memory;
    const nameId = this.findName(name);
    const ids: number[] = [];
    if (nameId === undefined) return new Uint32Array(0);
    const max = kernel.listIdsMax();
    for (let after = 0; ;) {
      const count = kernel.listPairs(this.#slot, nameId, after) >>> 0;
      const list = kernel.listAddress(this.#slot) >>> 2;
      const page = this.#memory.words.slice(list, list + count);
      for (let i = 0; i < page.length; i++) {
        if (i % 4096 === 0) check();
        if (test.passes(this.valueOfPair(page[i]!)) === wantsPassing) ids.push(page[i]!);
      }
      if (count < max) return Uint32Array.from(ids);
      after = page[count - 1]! + 1;
    }
  }

  findName(name: string): number | undefined {
    const bytes = Buffer.from(name);
    if (bytes.byteLength > KEY_BYTES_MAX) return undefined;
    this.#memory.bytes.set(bytes, this.#memory.kernel.keyAddress(this.#slot) >>> 0);
    const found = this.#memory.kernel.lookupName(this.#slot, bytes.byteLength) >>> 0;
    return found === 0 ? undefined : found - 1;
  }

  findPair(name: string, value: string): number | undefined {
    const nameBytes = Buffer.from(name);
    const valueBytes = Buffer.from(value);
    if (nameBytes.byteLength + valueBytes.byteLength > KEY_BYTES_MAX) return undefined;
    const wire = Buffer.concat([
      Uint8Array.of(0x0a, ...uvarint(nameBytes.byteLength)),
      nameBytes,
      Uint8Array.of(0x12, ...uvarint(valueBytes.byteLength)),
      valueBytes,
    ]);
    this.#memory.bytes.set(wire, this.#memory.kernel.keyAddress(this.#slot) >>> 0);
    const found = this.#memory.kernel.lookupPair(this.#slot, wire.byteLength) >>> 0;
    return found === 0 ? undefined : found - 1;
  }

  nameOfPair(pairId: number): string {
    const { kernel } = this.#memory;
    return this.#text(kernel.pairNameAddress(pairId) >>> 0, kernel.pairNameBytes(pairId) >>> 0);
  }

  valueOfPair(pairId: number): string {
    const { kernel } = this.#memory;
    return this.#text(kernel.pairValueAddress(pairId) >>> 0, kernel.pairValueBytes(pairId) >>> 0);
  }

  /** The head's pair ids of a series, ordered by name. */
  pairsOf(ref: number): Uint32Array {
    const { kernel } = this.#memory;
    const at = kernel.seriesPairs(ref) >>> 2;
    return this.#memory.words.subarray(at, at + (kernel.seriesPairCount(ref) >>> 0));
  }

  /** The query's pair ids of a series, ordered by name. */
  translate(ref: number): Uint32Array {
    const pairs = this.pairsOf(ref);
    const ids = new Uint32Array(pairs.length);
    for (let i = 0; i < pairs.length; i++) {
      const pairId = pairs[i]!;
      if (pairId >= this.#translated.length) this.#grow(pairId);
      let id = this.#translated[pairId]!;
      if (id === 0) {
        id = this.#table.pairId(this.nameOfPair(pairId), this.valueOfPair(pairId)) + 1;
        this.#translated[pairId] = id;
      }
      ids[i] = id - 1;
    }
    return ids;
  }

  #grow(pairId: number): void {
    const larger = new Uint32Array(Math.max(this.#translated.length * 2, pairId + 1));
    larger.set(this.#translated);
    this.#translated = larger;
  }

  /** TextDecoder takes no views of shared memory: short texts are copied. */
  #text(address: number, bytes: number): string {
    return this.#decoder.decode(this.#memory.bytes.slice(address, address + bytes));
  }
}

/** The key area holds 64 KiB. */
const KEY_BYTES_MAX = 60_000;

function uvarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return bytes;
}

interface SelectionRange {
  readonly mint: number;
  readonly maxt: number;
  readonly warn: (text: string) => void;
}

class HeadSelection implements SeriesSelection {
  readonly seriesCount: number;
  readonly #memory: HeadMemory;
  readonly #slot: number;
  readonly #files: ChunkFileReader;
  readonly #labels: HeadLabels;
  readonly #refs: Uint32Array;
  readonly #range: SelectionRange;
  #next = 0;

  constructor(
    memory: HeadMemory,
    slot: number,
    files: ChunkFileReader,
    labels: HeadLabels,
    refs: Uint32Array,
    range: SelectionRange,
  ) {
    this.#memory = memory;
    this.#slot = slot;
    this.#files = files;
    this.#labels = labels;
    this.#refs = refs;
    this.#range = range;
    this.seriesCount = refs.length;
  }

  labels(i: number): Uint32Array {
    return this.#labels.translate(this.#refs[i]!);
  }

  next(into: ChunkBatch): boolean {
    if (this.#next >= this.#refs.length) return false;
    const { kernel } = this.#memory;
    kernel.pin(this.#slot);
    try {
      const wanted = this.#refs.subarray(this.#next, this.#next + SERIES_PER_GATHER);
      const list = kernel.listAddress(this.#slot) >>> 2;
      this.#memory.words.set(wanted, list);
      const gathered = kernel.gather(this.#slot, 0, wanted.length, this.#range.mint, this.#range.maxt);
      const seriesCount = Number(gathered >> 32n);
      if (seriesCount === 0) throw tooManyChunks();
      this.#fill(into, seriesCount, Number(gathered & 0xffff_ffffn));
    } finally {
      kernel.unpin(this.#slot);
    }
    return true;
  }

  /** Moves gathered chunks to the batch, as many whole series as it takes. */
  #fill(into: ChunkBatch, gathered: number, recordCount: number): void {
    const { at, kernel } = this.#memory;
    const records = kernel.recordsAddress(this.#slot) >>> 0;
    into.firstSeries = this.#next;
    into.seriesCount = 0;
    into.chunkStart.length = 1;
    into.chunkStart[0] = 0;
    into.chunkAddress.length = into.chunkBytes.length = into.encoding.length = 0;
    let record = 0;
    for (let series = 0; series < gathered; series++) {
      const firstChunk = into.chunkAddress.length;
      let isWhole = true;
      for (; record < recordCount; record++) {
        const words = this.#memory.words;
        const base = records + record * at.CHUNK_RECORD_SIZE;
        if (words[(base + at.CHUNK_RECORD_SERIES) >>> 2] !== series) break;
        const dataBytes = words[(base + at.CHUNK_RECORD_DATA_BYTES) >>> 2]!;
        const address = into.reserve(dataBytes);
        if (address === undefined) {
          isWhole = false;
          break;
        }
        const chunk = this.#chunkBytes(base, dataBytes, this.#refs[this.#next + series]!);
        if (chunk === undefined) continue;
        into.store(address, chunk);
        into.chunkAddress.push(address);
        into.chunkBytes.push(dataBytes);
        into.encoding.push(CHUNK_XOR);
      }
      if (!isWhole) {
        if (series === 0) throw tooManyChunks();
        into.chunkAddress.length = into.chunkBytes.length = into.encoding.length = firstChunk;
        break;
      }
      into.seriesCount++;
      into.chunkStart.push(into.chunkAddress.length);
    }
    this.#next += into.seriesCount;
  }

  #chunkBytes(record: number, dataBytes: number, ref: number): Uint8Array | undefined {
    const { at } = this.#memory;
    const address = this.#memory.u32(record + at.CHUNK_RECORD_ADDRESS);
    if (address !== 0) return this.#memory.slice(address, dataBytes);
    const fileIndex = this.#memory.u32(record + at.CHUNK_RECORD_FILE_INDEX);
    const offset = this.#memory.u32(record + at.CHUNK_RECORD_OFFSET);
    try {
      return this.#files.read(fileIndex, offset, dataBytes, ref);
    } catch (thrown) {
      this.#range.warn(`Samples are missing from the result: ${messageOf(thrown)}`);
      return undefined;
    }
  }
}

const tooManyChunks = (): TsdbError =>
  new TsdbError("QUERY_LIMIT", "One series has more chunks in the range than a query may hold");

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
