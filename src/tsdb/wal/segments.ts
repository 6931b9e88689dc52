/** The segments on disk: how large they are, what they hold at most, and which of them are needed no more. */
import { join } from "node:path/posix";
import type { Vfs } from "../../base/vfs.ts";
import { segmentName } from "./format.ts";

interface Segment {
  readonly index: number;
  sizeBytes: number;
  /** Of its newest sample; -Infinity without samples. */
  maxTimeMs: number;
  /** Of its newest record; 0 without records. */
  lastSequence: number;
}

export class SegmentList {
  readonly #vfs: Vfs;
  readonly #dir: string;
  readonly #segments: Segment[] = [];
  #sizeBytes = 0;

  constructor(vfs: Vfs, dir: string) {
    this.#vfs = vfs;
    this.#dir = dir;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Of the newest; 0 when there is none. */
  get lastIndex(): number {
    return this.#segments.at(-1)?.index ?? 0;
  }

  /** Notes a segment, or that the last one noted has grown. Segments come in order. */
  note(index: number, grownBytes: number, maxTimeMs: number, lastSequence: number): void {
    let segment = this.#segments.at(-1);
    if (segment?.index !== index) {
      segment = { index, sizeBytes: 0, maxTimeMs: Number.NEGATIVE_INFINITY, lastSequence: 0 };
      this.#segments.push(segment);
    }
    segment.sizeBytes += grownBytes;
    segment.maxTimeMs = Math.max(segment.maxTimeMs, maxTimeMs);
    segment.lastSequence = Math.max(segment.lastSequence, lastSequence);
    this.#sizeBytes += grownBytes;
  }

  /** What a repair has made of a segment; undefined: it is gone. */
  replace(index: number, sizeBytes: number | undefined): void {
    const at = this.#segments.findIndex((segment) => segment.index === index);
    const segment = this.#segments[at];
    if (segment === undefined) return;
    this.#sizeBytes += (sizeBytes ?? 0) - segment.sizeBytes;
    if (sizeBytes === undefined) this.#segments.splice(at, 1);
    else segment.sizeBytes = sizeBytes;
  }

  /**
   * Deletes segments of which blocks have everything: no record is newer than `sequence`, and no sample is at `beforeMs` or
   * later. From the oldest on: a segment missing between two others would read as a loss. The newest stays, for the
   * sequence that it ends with.
   * @returns how many were deleted
   */
  async dropFlushed(sequence: number, beforeMs: number): Promise<number> {
    let dropped = 0;
    for (;;) {
      const oldest = this.#segments[0];
      if (oldest === undefined || this.#segments.length === 1) return dropped;
      if (oldest.maxTimeMs >= beforeMs || oldest.lastSequence > sequence) return dropped;
      await this.#vfs.remove(join(this.#dir, segmentName(oldest.index)));
      // One by one: a power cut must not bring back an older one and keep a newer one deleted.
      await this.#vfs.syncDir(this.#dir);
      this.#segments.shift();
      this.#sizeBytes -= oldest.sizeBytes;
      dropped++;
    }
  }
}
