/**
 * Joins what several sources have of the same series. A chunk that neither overlaps another nor is deleted in part goes on
 * as it is; runs of chunks that overlap are decoded, freed of what is deleted, merged and handed on as one raw chunk.
 *
 *   source 0   ├──a──┤ ├──b──┤               ├──e──┤
 *   source 1                 ├──c──┤├──d──┤                 a, (b c) merged, d, e
 *
 * Of two samples with one time that of the earlier source counts, within a source that of an encoded chunk.
 */
import { TsdbError } from "../../base/errors.ts";
import type { SourceChunks } from "../chunk-source.ts";
import { CHUNK_RAW } from "../storage.ts";
import type { Budget, ChunkBatch } from "../storage.ts";

export interface Part {
  readonly chunks: SourceChunks;
  /** Of each series of the batch its number among those that were read, or -1; absent: the same number. */
  readonly places: Int32Array | undefined;
}

/** A chunk of the series that is being merged. */
interface Found {
  readonly part: number;
  readonly chunk: number;
  readonly mint: number;
  readonly maxt: number;
}

/** Two columns of samples. */
interface Columns {
  readonly times: number;
  readonly values: number;
}

export class ChunkMerger {
  readonly #parts: readonly Part[];
  readonly #into: ChunkBatch;
  readonly #budget: Budget;
  /** By part: how far its deletions were gone through. */
  readonly #nextDeletion: number[];
  /** Room for what is merged, three times two columns. */
  #columns: readonly Columns[] = [];
  #sampleCountMax = 0;

  /** @param parts in the order in which their samples count, with chunks in the memory of `into` */
  constructor(parts: readonly Part[], into: ChunkBatch, budget: Budget) {
    this.#parts = parts;
    this.#into = into;
    this.#budget = budget;
    this.#nextDeletion = parts.map(() => 0);
  }

  /** Writes the first `count` series to the batch. */
  merge(count: number): void {
    const { chunkStart, chunkAddress, chunkBytes, encoding } = this.#into;
    chunkStart.length = chunkAddress.length = chunkBytes.length = encoding.length = 0;
    chunkStart.push(0);
    for (let series = 0; series < count; series++) {
      this.#mergeSeries(series);
      chunkStart.push(chunkAddress.length);
    }
  }

  #mergeSeries(series: number): void {
    if (this.#isPlain(series)) return this.#passAll(series);
    const found = this.#chunksOf(series);
    for (let first = 0; first < found.length;) {
      let { maxt } = found[first]!;
      let end = first + 1;
      for (; end < found.length && found[end]!.mint <= maxt; end++) maxt = Math.max(maxt, found[end]!.maxt);
      if (end === first + 1 && !this.#isCut(found[first]!, series)) this.#pass(found[first]!);
      else this.#mergeRun(found.slice(first, end), series);
      first = end;
    }
  }

  /** Whether the parts follow each other in time, and nothing is deleted: nearly always. */
  #isPlain(series: number): boolean {
    let before = Number.NEGATIVE_INFINITY;
    for (const { chunks, places } of this.#parts) {
      const place = placeOf(series, places);
      if (place < 0) continue;
      if (chunks.deletions.length > 0) return false;
      const { mint, maxt } = chunks;
      for (let chunk = chunks.start[place]!, end = chunks.start[place + 1]!; chunk < end; chunk++) {
        if (mint[chunk]! <= before) return false;
        before = maxt[chunk]!;
      }
    }
    return true;
  }

  #passAll(series: number): void {
    for (const { chunks, places } of this.#parts) {
      const place = placeOf(series, places);
      if (place < 0) continue;
      for (let chunk = chunks.start[place]!, end = chunks.start[place + 1]!; chunk < end; chunk++)
        this.#add(chunks.address[chunk]!, chunks.bytes[chunk]!, chunks.encoding[chunk]!);
    }
  }

  /** In order of time. */
  #chunksOf(series: number): Found[] {
    const found: Found[] = [];
    let isOrdered = true;
    for (const [part, { chunks, places }] of this.#parts.entries()) {
      const place = placeOf(series, places);
      if (place < 0) continue;
      for (let chunk = chunks.start[place]!; chunk < chunks.start[place + 1]!; chunk++) {
        const mint = chunks.mint[chunk]!;
        if (found.length > 0 && mint < found[found.length - 1]!.mint) isOrdered = false;
        found.push({ part, chunk, mint, maxt: chunks.maxt[chunk]! });
      }
    }
    // Sorting is stable, and sources that follow each other are ordered already.
    return isOrdered ? found : found.sort((a, b) => a.mint - b.mint);
  }

  #pass({ part, chunk }: Found): void {
    const { chunks } = this.#parts[part]!;
    this.#add(chunks.address[chunk]!, chunks.bytes[chunk]!, chunks.encoding[chunk]!);
  }

  #add(address: number, bytes: number, encoding: number): void {
    this.#into.chunkAddress.push(address);
    this.#into.chunkBytes.push(bytes);
    this.#into.encoding.push(encoding);
  }

  /** Whether something of a chunk is deleted. */
  #isCut({ part, chunk, mint, maxt }: Found, series: number): boolean {
    if (this.#parts[part]!.chunks.encoding[chunk] === CHUNK_RAW) return false;
    return this.#deletions(part, series).some((deleted) => deleted.mint <= maxt && deleted.maxt >= mint);
  }

  /** What is deleted of a part's series; asked for series in ascending order. */
  #deletions(part: number, series: number) {
    const { chunks, places } = this.#parts[part]!;
    const { deletions } = chunks;
    if (deletions.length === 0) return deletions;
    const place = placeOf(series, places);
    let first = this.#nextDeletion[part]!;
    while (first < deletions.length && deletions[first]!.series < place) first++;
    this.#nextDeletion[part] = first;
    let end = first;
    while (end < deletions.length && deletions[end]!.series === place) end++;
    return deletions.slice(first, end);
  }

  #mergeRun(run: readonly Found[], series: number): void {
    this.#budget.check();
    const { kernel } = this.#into;
    this.#makeRoom(run);
    let [merged, out] = [this.#columns[0]!, this.#columns[1]!];
    const next = this.#columns[2]!;
    let count = 0;
    for (const group of inOrderOfPrecedence(run, this.#parts)) {
      if (count === 0) {
        count = this.#decode(group, series, merged, out);
        continue;
      }
      const nextCount = this.#decode(group, series, next, out);
      const { times, values } = merged;
      count = kernel.mergeSamples(times, values, count, next.times, next.values, nextCount, out.times, out.values);
      [merged, out] = [out, merged];
    }
    // All of it is deleted.
    if (count === 0) return;
    const address = this.#reserve(8 + 16 * count);
    const bytes = kernel.rawEncode(merged.times, merged.values, count, address);
    this.#add(address, bytes, CHUNK_RAW);
  }

  /** Decodes chunks of one part, all encoded or all raw, without what is deleted. @returns how many samples there are */
  #decode(group: readonly Found[], series: number, into: Columns, scratch: Columns): number {
    const { kernel } = this.#into;
    const { part } = group[0]!;
    const { chunks } = this.#parts[part]!;
    let count = 0;
    for (const { chunk } of group) {
      const [address, bytes, encoding] = [chunks.address[chunk]!, chunks.bytes[chunk]!, chunks.encoding[chunk]!];
      const [times, values] = [into.times + 8 * count, into.values + 8 * count];
      const decoded = kernel.decodeChunk(encoding, address, bytes, times, values, this.#sampleCountMax - count);
      if (decoded < 0) throw unreadable(group[0]!);
      count += decoded;
    }
    // Chunks of one source overlap only in blocks that others have written.
    if (group.length > 1) count = kernel.sortSamples(into.times, into.values, count, scratch.times);
    if (chunks.encoding[group[0]!.chunk] === CHUNK_RAW) return count;
    for (const { mint, maxt } of this.#deletions(part, series))
      count = kernel.maskSamples(into.times, into.values, count, mint, maxt);
    return count;
  }

  #makeRoom(run: readonly Found[]): void {
    const { kernel } = this.#into;
    let count = 0;
    for (const { part, chunk } of run) {
      const { address, bytes, encoding } = this.#parts[part]!.chunks;
      count += kernel.chunkSampleCount(encoding[chunk]!, address[chunk]!, bytes[chunk]!);
    }
    if (count <= this.#sampleCountMax) return;
    this.#sampleCountMax = Math.max(count, 2 * this.#sampleCountMax);
    const columnBytes = 8 * this.#sampleCountMax;
    const address = this.#reserve(6 * columnBytes);
    this.#columns = [0, 2, 4].map((i) => ({
      times: address + i * columnBytes,
      values: address + (i + 1) * columnBytes,
    }));
  }

  #reserve(bytes: number): number {
    const address = this.#into.reserve(bytes);
    if (address === undefined)
      throw new TsdbError("QUERY_LIMIT", "One series has more samples in the range than a query may hold");
    return address;
  }
}

const placeOf = (series: number, places: Part["places"]): number => (places === undefined ? series : places[series]!);

/** The chunks of a run in groups whose samples count one before the other; in each in order of time. */
function inOrderOfPrecedence(run: readonly Found[], parts: readonly Part[]): Iterable<readonly Found[]> {
  const groups = new Map<number, Found[]>();
  for (const found of run) {
    const isRaw = parts[found.part]!.chunks.encoding[found.chunk] === CHUNK_RAW;
    const rank = 2 * found.part + (isRaw ? 1 : 0);
    const group = groups.get(rank);
    if (group === undefined) groups.set(rank, [found]);
    else group.push(found);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

const unreadable = ({ mint, maxt }: Found): TsdbError =>
  new TsdbError("CHUNK_CORRUPT", `Cannot decode a chunk with samples from ${mint} to ${maxt}`);
