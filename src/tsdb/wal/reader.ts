/**
 * Reads one segment, record by record, in bounded pieces. It is the only reader there is: replay and inspection of a log
 * come to the same verdict because they ask here.
 *
 *   file:    header | record | record | rec...
 *   buffer:           [ window: read in one go ]     records are verified in place and handed out as offsets into it
 *
 * A record counts when its length fits the file, its checksum is right, and its sequence follows the one before in the
 * segment: values are XORed against earlier ones, so behind a missing record nothing can be read. The first that does not
 * count is where the segment ends; `damage` says why, unless that is the end of the file.
 */
import { crc32c } from "../../base/crc32c.ts";
import type { Vfs, VfsFile } from "../../base/vfs.ts";
import {
  decodeRecordHeader,
  decodeSegmentHeader,
  RECORD_DATA_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORD_DELETES,
  RECORD_MARK,
  RECORD_SAMPLES,
  SEGMENT_HEADER_BYTES,
  type RecordHeader,
  type SegmentHeader,
} from "./format.ts";

/** Where records are read to: memory of the reader's own, or a region of the kernel's, which then applies them in place. */
export interface RecordBuffer {
  readonly bytes: Uint8Array;
  /** Of its first byte in kernel memory; 0 when it lies elsewhere. */
  readonly address: number;
  crc32c(offset: number, byteCount: number, seed: number): number;
  /** A buffer of at least `byteCount`, for a record that is known to be whole and does not fit this one. */
  grow(byteCount: number): RecordBuffer;
}

export interface WalRecord extends RecordHeader {
  /** Of its first byte in the file. */
  readonly offsetBytes: number;
  /** Of its data in the reader's buffer; good until the next `fill`. */
  readonly dataOffset: number;
}

export interface SegmentDamage {
  readonly offsetBytes: number;
  /** What is wrong there, as a clause. */
  readonly reason: string;
}

/** Read at once: some milliseconds of replay, after which the thread is free for other work. */
export const WINDOW_BYTES = 256 * 1024;

export function plainBuffer(byteCount = 2 * WINDOW_BYTES): RecordBuffer {
  const bytes = new Uint8Array(byteCount);
  return {
    bytes,
    address: 0,
    crc32c: (offset, count, seed) => crc32c(bytes.subarray(offset, offset + count), seed),
    grow: plainBuffer,
  };
}

export class SegmentReader {
  readonly header: SegmentHeader;
  readonly sizeBytes: number;
  readonly #file: VfsFile;
  #buffer: RecordBuffer;
  /** The buffer holds the file from #windowStart on, #filled bytes of it, and #at is where the next record begins. */
  #windowStart: number;
  #filled = 0;
  #at = 0;
  #lastSequence: number | undefined;
  #damage: SegmentDamage | undefined;

  private constructor(file: VfsFile, sizeBytes: number, header: SegmentHeader, buffer: RecordBuffer) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.header = header;
    this.#buffer = buffer;
    this.#windowStart = Math.min(SEGMENT_HEADER_BYTES, sizeBytes);
  }

  static async open(vfs: Vfs, path: string, buffer: RecordBuffer): Promise<SegmentReader> {
    const file = await vfs.open(path, "read");
    try {
      const header = new Uint8Array(SEGMENT_HEADER_BYTES);
      const headerBytes = await file.read(header, 0);
      return new SegmentReader(
        file,
        await file.sizeBytes(),
        decodeSegmentHeader(header.subarray(0, headerBytes)),
        buffer,
      );
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }

  /** The present one: `fill` replaces it when a record is larger. */
  get buffer(): RecordBuffer {
    return this.#buffer;
  }

  /** Behind the last record that counted. */
  get offsetBytes(): number {
    return this.#windowStart + this.#at;
  }

  /** Why the segment ends before its file does. */
  get damage(): SegmentDamage | undefined {
    return this.#damage;
  }

  /** Reads on. @returns false when no further record counts: at the end of the file, or with `damage` set */
  async fill(): Promise<boolean> {
    const left = this.sizeBytes - this.offsetBytes;
    if (this.#damage !== undefined || left === 0) return false;
    this.#buffer.bytes.copyWithin(0, this.#at, this.#filled);
    this.#windowStart += this.#at;
    this.#filled -= this.#at;
    this.#at = 0;
    await this.#readTo(Math.min(left, WINDOW_BYTES));
    if (left < RECORD_HEADER_BYTES) return this.#endHere("the file ends inside a record");
    const recordBytes = RECORD_HEADER_BYTES + decodeRecordHeader(this.#buffer.bytes, 0).dataBytes;
    if (recordBytes > Math.min(left, RECORD_DATA_BYTES_MAX)) return this.#endHere("the file ends inside a record");
    if (recordBytes > this.#filled) {
      if (recordBytes > this.#buffer.bytes.byteLength) {
        // Room for a large record is found only once it is known to be one: a damaged length may say anything.
        if (!(await this.#isWhole(this.#windowStart))) return this.#endHere("checksum mismatch");
        this.#buffer = this.#buffer.grow(recordBytes);
        this.#filled = 0;
      }
      await this.#readTo(recordBytes);
    }
    return this.#filled >= recordBytes || this.#endHere("the file ends inside a record");
  }

  /** The next record that lies whole in what was read; undefined when `fill` must read on. */
  next(): WalRecord | undefined {
    if (this.#damage !== undefined || this.#filled - this.#at < RECORD_HEADER_BYTES) return undefined;
    const at = this.#at;
    const header = decodeRecordHeader(this.#buffer.bytes, at);
    if (header.dataBytes > this.#filled - at - RECORD_HEADER_BYTES) return undefined;
    const crc = this.#buffer.crc32c(at, RECORD_HEADER_BYTES - 4, 0);
    if (this.#buffer.crc32c(at + RECORD_HEADER_BYTES, header.dataBytes, crc) !== header.crc) {
      this.#endHere("checksum mismatch");
      return undefined;
    }
    if (header.type !== RECORD_MARK) {
      if (this.#lastSequence !== undefined && header.sequence !== this.#lastSequence + 1) {
        this.#endHere(`sequence ${header.sequence} follows ${this.#lastSequence}`);
        return undefined;
      }
      this.#lastSequence = header.sequence;
    }
    this.#at = at + RECORD_HEADER_BYTES + header.dataBytes;
    return { ...header, offsetBytes: this.#windowStart + at, dataOffset: at + RECORD_HEADER_BYTES };
  }

  /** The caller cannot use the record it was given last: the segment ends in front of it. */
  reject(record: WalRecord, reason: string): void {
    this.#at = record.offsetBytes - this.#windowStart;
    this.#endHere(reason);
  }

  /**
   * Looks for whole records behind the damage, at any offset. They cannot be used; what they say of the log tells a torn
   * tail from a loss.
   * @param from offset in the file
   * @param floor records up to this sequence are of no interest
   */
  async findBeyond(from: number, floor: number): Promise<BeyondDamage> {
    const found: BeyondDamage = { firstSequence: Number.POSITIVE_INFINITY, lastSequence: 0, syncedUpTo: 0 };
    const window = new Uint8Array(WINDOW_BYTES);
    const view = new DataView(window.buffer);
    let offset = from;
    while (this.sizeBytes - offset >= RECORD_HEADER_BYTES) {
      const filled = await this.#file.read(window, offset);
      if (filled < RECORD_HEADER_BYTES) break;
      let at = 0;
      for (; at + RECORD_HEADER_BYTES <= filled; at++) {
        const type = window[at + 4];
        if (type !== RECORD_SAMPLES && type !== RECORD_DELETES && type !== RECORD_MARK) continue;
        // Most offsets fail one of these; checksums are for what is left.
        const dataBytes = view.getUint32(at, true);
        if (dataBytes > this.sizeBytes - offset - at - RECORD_HEADER_BYTES) continue;
        const header = decodeRecordHeader(window, at);
        if (header.sequence <= floor || header.sequence > floor + SEQUENCES_AHEAD_MAX) continue;
        if (header.syncedUpTo > header.sequence || !(await this.#isWhole(offset + at))) continue;
        found.firstSequence = Math.min(found.firstSequence, header.sequence);
        found.lastSequence = Math.max(found.lastSequence, header.sequence);
        found.syncedUpTo = Math.max(found.syncedUpTo, header.syncedUpTo);
        at += RECORD_HEADER_BYTES + dataBytes - 1;
      }
      offset += at;
    }
    return found;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #endHere(reason: string): false {
    this.#damage = { offsetBytes: this.offsetBytes, reason };
    return false;
  }

  async #readTo(byteCount: number): Promise<void> {
    const count = Math.min(byteCount, this.#buffer.bytes.byteLength) - this.#filled;
    if (count <= 0) return;
    const into = this.#buffer.bytes.subarray(this.#filled, this.#filled + count);
    this.#filled += await this.#file.read(into, this.#windowStart + this.#filled);
  }

  /** Whether the record at an offset of the file has the right checksum; reads it piece by piece. */
  async #isWhole(offset: number): Promise<boolean> {
    const piece = new Uint8Array(WINDOW_BYTES);
    const filled = await this.#file.read(piece.subarray(0, RECORD_HEADER_BYTES), offset);
    if (filled < RECORD_HEADER_BYTES) return false;
    const header = decodeRecordHeader(piece, 0);
    let crc = crc32c(piece.subarray(0, RECORD_HEADER_BYTES - 4));
    for (let done = 0; done < header.dataBytes;) {
      const into = piece.subarray(0, Math.min(piece.byteLength, header.dataBytes - done));
      const count = await this.#file.read(into, offset + RECORD_HEADER_BYTES + done);
      if (count === 0) return false;
      crc = crc32c(into.subarray(0, count), crc);
      done += count;
    }
    return crc === header.crc;
  }
}

/** What whole records behind a damage say. Sequences are infinite and 0 when there is none. */
export interface BeyondDamage {
  firstSequence: number;
  lastSequence: number;
  syncedUpTo: number;
}

/** A number further ahead is chance, not a sequence. */
const SEQUENCES_AHEAD_MAX = 2 ** 40;
