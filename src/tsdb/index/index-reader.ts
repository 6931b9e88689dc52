/**
 * The index of a block, read as far as it is needed. Opening it reads symbols and postings offset table once, verifies them,
 * and keeps of every 32nd entry where it is; afterwards all is read by pread through the page cache. A series, a list of
 * postings: each is verified whenever it is read.
 *
 * Synchronous. Whatever is not as it was written throws CorruptBlockError with file and offset.
 */
import type { Vfs } from "../../base/vfs.ts";
import { crc32c } from "../../base/crc32c.ts";
import { decodeToc, INDEX_HEADER_BYTES, INDEX_MAGIC, type IndexToc, SERIES_ALIGN, TOC_BYTES } from "./format.ts";
import { type PageCache, PagedFile } from "./page-cache.ts";
import { PagedCursor } from "./paged-cursor.ts";
import { readPostings } from "./postings-list.ts";
import { PostingsTable } from "./postings-table.ts";
import { decodeSeries } from "./series-codec.ts";
import type { SeriesEntry } from "./series-entry.ts";
import { SymbolSection } from "./symbol-section.ts";

export class IndexReader {
  readonly path: string;
  readonly sizeBytes: number;
  readonly toc: IndexToc;
  readonly symbols: SymbolSection;
  readonly #file: PagedFile;
  readonly #table: PostingsTable;
  readonly #cursor: PagedCursor;

  private constructor(file: PagedFile) {
    this.#file = file;
    this.path = file.path;
    this.sizeBytes = file.sizeBytes;
    this.toc = readToc(file);
    this.symbols = SymbolSection.open(file, this.toc.symbols);
    this.#table = PostingsTable.open(file, this.toc.postingsTable);
    this.#cursor = new PagedCursor(file);
  }

  /** @throws CorruptBlockError */
  static open(vfs: Vfs, path: string, cache: PageCache): IndexReader {
    const file = PagedFile.open(vfs, path, cache);
    try {
      return new IndexReader(file);
    } catch (cause) {
      file.close();
      throw cause;
    }
  }

  /** Names of all labels, in byte order. */
  get labelNames(): readonly string[] {
    return this.#table.names;
  }

  /** How many values a label has; 0 when there is no such label. */
  valueCount(name: string): number {
    return this.#table.valueCount(name);
  }

  /** Goes over a label's values in byte order; `postings` is for `postingsAt`. Stops early when `visit` returns false. */
  forEachValue(name: string, visit: (value: string, postings: number) => boolean | void): void {
    this.#table.forEachValue(name, visit);
  }

  /** Ids of the series that have the label value, ascending; none when there is no such value. */
  postings(name: string, value: string): Uint32Array {
    const offset = this.#table.find(name, value);
    return offset === undefined ? new Uint32Array(0) : this.postingsAt(offset);
  }

  postingsAt(offset: number): Uint32Array {
    return readPostings(this.#file, this.#cursor, offset);
  }

  /** Ids of all series, ascending, which is the order of their label sets. */
  allPostings(): Uint32Array {
    return this.postings("", "");
  }

  /**
   * @param id as postings have it
   * @returns where it ends in the file
   */
  series(id: number, into: SeriesEntry): number {
    const offset = id * SERIES_ALIGN;
    const cursor = this.#cursor;
    if (offset < this.toc.series || offset >= this.seriesEnd) throw this.#file.corrupt(offset, "no series is there");
    cursor.seek(offset, this.seriesEnd);
    const length = cursor.uvarint();
    const content = cursor.bytes(length);
    if (cursor.u32() !== crc32c(content)) throw this.#file.corrupt(offset, "checksum mismatch of a series");
    try {
      decodeSeries(content, into);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw this.#file.corrupt(offset, `a series that is malformed: ${cause.message}`, cause);
    }
    for (let i = 0; i < 2 * into.labelCount; i++)
      if (into.labels[i]! >= this.symbols.count) throw this.#file.corrupt(offset, "a series names an unknown symbol");
    return cursor.offset;
  }

  close(): void {
    this.#file.close();
  }

  /** Where what follows the series begins: label indices, where Prometheus still wrote them, else postings. */
  get seriesEnd(): number {
    return this.toc.labelIndices || this.toc.postings || this.sizeBytes;
  }
}

function readToc(file: PagedFile): IndexToc {
  if (file.sizeBytes < INDEX_HEADER_BYTES + TOC_BYTES) throw file.corrupt(file.sizeBytes, "the file ends too soon");
  const cursor = new PagedCursor(file);
  cursor.seek(0, INDEX_HEADER_BYTES);
  if (cursor.u32() !== INDEX_MAGIC) throw file.corrupt(0, "it does not begin as an index does");
  const version = cursor.u8();
  // Version 3 is read as 2, as Prometheus does; 1 was last written in 2018.
  if (version !== 2 && version !== 3) throw file.corrupt(4, `it has version ${version}; 2 and 3 can be read`);
  const at = file.sizeBytes - TOC_BYTES;
  const toc = decodeToc(file.readRaw(at, TOC_BYTES));
  if (toc === undefined) throw file.corrupt(at, "checksum mismatch of the table of contents");
  for (const offset of Object.values<number>({ ...toc }))
    if (offset > at) throw file.corrupt(at, "the table of contents points behind the file");
  return toc;
}
