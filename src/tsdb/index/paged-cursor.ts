/** A position in a paged file from which numbers and byte strings are read. Whoever reads past its end learns where. */
import { loadU32 } from "../../base/byte-reader.ts";
import { PAGE_BYTES, type PagedFile } from "./page-cache.ts";

export class PagedCursor {
  readonly #file: PagedFile;
  #page: Uint8Array = new Uint8Array(0);
  /** Of the page in the file. */
  #pageOffset = 0;
  /** In the page. */
  #at = 0;
  /** In the file; nothing is read from here on. */
  #end = 0;

  constructor(file: PagedFile) {
    this.#file = file;
  }

  get offset(): number {
    return this.#pageOffset + this.#at;
  }

  /** Reads go on at `offset`, up to `end`. */
  seek(offset: number, end: number): void {
    this.#end = end;
    this.#goTo(offset);
  }

  u8(): number {
    if (this.#at >= this.#page.byteLength) this.#goTo(this.offset);
    if (this.offset >= this.#end) throw this.#file.corrupt(this.offset, "it ends too soon");
    const byte = this.#page[this.#at];
    if (byte === undefined) throw this.#file.corrupt(this.offset, "the file ends too soon");
    this.#at++;
    return byte;
  }

  u32(): number {
    return loadU32(this.bytes(4), 0);
  }

  /** A number of 2^53 and above comes rounded. */
  uvarint(): number {
    let byte = this.u8();
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    for (let count = 1; count < 10; count++, scale *= 128) {
      byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw this.#file.corrupt(this.offset, "a number has more than 64 bits");
  }

  skip(count: number): void {
    this.#mustReach(count);
    if (this.#at + count <= this.#page.byteLength) this.#at += count;
    else this.#goTo(this.offset + count);
  }

  /** Valid while nobody writes to it: a part of a page, or a copy where it goes over the end of one. */
  bytes(count: number): Uint8Array {
    this.#mustReach(count);
    if (this.#at + count <= this.#page.byteLength) {
      this.#at += count;
      return this.#page.subarray(this.#at - count, this.#at);
    }
    const copy = new Uint8Array(count);
    for (let copied = 0; copied < count;) {
      if (this.#at >= this.#page.byteLength) this.#goTo(this.offset);
      const part = this.#page.subarray(this.#at, this.#at + count - copied);
      if (part.byteLength === 0) throw this.#file.corrupt(this.offset, "the file ends too soon");
      copy.set(part, copied);
      copied += part.byteLength;
      this.#at += part.byteLength;
    }
    return copy;
  }

  #mustReach(count: number): void {
    if (this.offset + count > this.#end) throw this.#file.corrupt(this.offset, "it ends too soon");
  }

  #goTo(offset: number): void {
    // At the end of the file there is no page any more; reads say so when they come to it.
    const page = Math.floor(offset / PAGE_BYTES);
    this.#pageOffset = page * PAGE_BYTES;
    this.#page = this.#pageOffset < this.#file.sizeBytes ? this.#file.page(page) : new Uint8Array(0);
    this.#at = offset - this.#pageOffset;
  }
}
