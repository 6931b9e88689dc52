/**
 * Parts of block files in memory, for all readers of a thread, up to a number of bytes: files are read by pread, a page at a
 * time, and what was not used for a while makes room.
 *
 * Pages that were read when a checksum over them was verified are remembered by a checksum of their own: when such a page
 * has to be read again, it must still be what it was.
 */
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import { openBlockFile, readBlockFile } from "./block-file.ts";
import { CorruptBlockError } from "./corrupt.ts";

/** A page that is needed again costs a read, and mostly a checksum over it: large ones help none but who reads it all. */
export const PAGE_BYTES = 16 * 1024;
/** More than an index of 64 GiB has. */
const FILE_PAGES_MAX = 2 ** 24;
const keyOf = (file: number, page: number): number => file * FILE_PAGES_MAX + page;

interface Page {
  readonly bytes: Uint8Array;
  /** Since it was last considered for making room. */
  isUsed: boolean;
}

export class PageCache {
  readonly #pagesMax: number;
  readonly #pages = new Map<number, Page>();
  #nextFile = 0;

  constructor(bytesMax: number) {
    this.#pagesMax = Math.max(4, Math.floor(bytesMax / PAGE_BYTES));
  }

  get pageCount(): number {
    return this.#pages.size;
  }

  /** A number that no other file has. */
  register(): number {
    return this.#nextFile++;
  }

  get(file: number, page: number): Uint8Array | undefined {
    const found = this.#pages.get(keyOf(file, page));
    if (found !== undefined) found.isUsed = true;
    return found?.bytes;
  }

  put(file: number, page: number, bytes: Uint8Array): void {
    // Second chance: a page that was used since it was last looked at goes to the end of the line instead of away.
    for (const [key, old] of this.#pages) {
      if (this.#pages.size < this.#pagesMax) break;
      this.#pages.delete(key);
      if (!old.isUsed) continue;
      old.isUsed = false;
      this.#pages.set(key, old);
    }
    this.#pages.set(keyOf(file, page), { bytes, isUsed: false });
  }

  forget(file: number): void {
    for (const key of this.#pages.keys()) if (Math.floor(key / FILE_PAGES_MAX) === file) this.#pages.delete(key);
  }
}

/** A file that is read through a cache. */
export class PagedFile {
  readonly sizeBytes: number;
  readonly #file: VfsFile;
  readonly #cache: PageCache;
  readonly #id: number;
  /** Checksums of pages that were verified before. */
  readonly #verified = new Map<number, number>();
  /** The page that was used last, which is mostly the next one, too. */
  #last = -1;
  #lastBytes: Uint8Array = new Uint8Array(0);

  private constructor(file: VfsFile, sizeBytes: number, cache: PageCache) {
    this.sizeBytes = sizeBytes;
    this.#file = file;
    this.#cache = cache;
    this.#id = cache.register();
  }

  /** @throws CorruptBlockError when there is no such file */
  static open(vfs: Vfs, path: string, cache: PageCache): PagedFile {
    const file = openBlockFile(vfs, path);
    try {
      return new PagedFile(file, file.sizeBytesSync(), cache);
    } catch (cause) {
      file.closeSync();
      throw cause;
    }
  }

  get path(): string {
    return this.#file.path;
  }

  /** The bytes of a page, fewer than PAGE_BYTES at the end of the file. */
  page(page: number): Uint8Array {
    if (page === this.#last) return this.#lastBytes;
    let bytes = this.#cache.get(this.#id, page);
    if (bytes === undefined) {
      bytes = this.readRaw(page * PAGE_BYTES, PAGE_BYTES);
      const verified = this.#verified.get(page);
      if (verified !== undefined && crc32c(bytes) !== verified)
        throw this.corrupt(page * PAGE_BYTES, "it is not what it was when it was opened");
      this.#cache.put(this.#id, page, bytes);
    }
    this.#last = page;
    this.#lastBytes = bytes;
    return bytes;
  }

  /** Bytes of their own, past the cache; fewer at the end of the file. */
  readRaw(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.sizeBytes - offset)));
    const count = readBlockFile(this.#file, bytes, offset);
    if (count < bytes.byteLength) throw this.corrupt(offset + count, "the file has become shorter");
    return bytes;
  }

  /** CRC32C of bytes as they are on disk; the pages they lie in are remembered. */
  verifySection(offset: number, length: number): number {
    let crc = 0;
    const end = offset + length;
    for (let at = offset; at < end;) {
      const page = Math.floor(at / PAGE_BYTES);
      const bytes = this.page(page);
      if (!this.#verified.has(page)) this.#verified.set(page, crc32c(bytes));
      const from = at - page * PAGE_BYTES;
      const part = bytes.subarray(from, Math.min(bytes.byteLength, from + end - at));
      if (part.byteLength === 0) throw this.corrupt(at, "the file ends too soon");
      crc = crc32c(part, crc);
      at += part.byteLength;
    }
    return crc;
  }

  corrupt(offset: number, reason: string, cause?: unknown): CorruptBlockError {
    return new CorruptBlockError(this.path, offset, reason, cause);
  }

  close(): void {
    this.#cache.forget(this.#id);
    this.#file.closeSync();
  }
}
