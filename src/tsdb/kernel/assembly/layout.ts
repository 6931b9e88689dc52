/**
 * Linear memory, described once for both sides: the kernel uses these classes as views of raw memory (`changetype`), the
 * TypeScript side reads the offsets that this file exports as constants. Nothing is ever allocated for a class itself.
 *
 *   0        first page: never used, so that address 0 can mean "none"; from CRC_TABLES on, tables that are computed once
 *   64 KiB   Header: the roots of everything else
 *   ...      fixed regions, each reserved once at creation; what is never touched costs no memory
 *   heap     slabs of 64 KiB, handed out in order and never returned; cells and blocks inside them are recycled
 *
 * A memory has one writer (the thread that created it) and any number of readers. What readers may see changes only by
 * one atomic store of one word (docs/internals/memory.md).
 */

/** Eight CRC32C tables of 1 KiB (slicing-by-8), made by initTables(). */
export const CRC_TABLES: usize = 4096;

/** Where the header of a head's memory lies. */
export const HEADER: usize = 65536;

export const SLAB_BYTES: u32 = 65536;

/** A cell: link to the next cell, then payload. Open chunks and chunk lists are made of cells. */
export const CELL_BYTES: u32 = 64;
export const CELL_PAYLOAD: u32 = 60;

/**
 * The appending end of an XOR chunk (docs/format/head-chunks.md): what the next sample is encoded against. Part of
 * SeriesHot, where the last timestamp and value also serve to tell duplicates and late samples.
 * A chunk's bytes: count u16 BE, zigzag varint first time, first value, then bit-packed (delta of delta, XOR) pairs.
 */
@unmanaged
export class XorState {
  lastTimestampMs: i64;
  /** Bits of the last value. */
  lastValue: u64;
  /** Between the last two timestamps. */
  deltaMs: i64;
  /** Where the next bit goes, counted from the start of the chunk; 0 before the first sample. */
  bitPosition: u32;
  /** Leading zero bits of the last XOR window, 0xff before the first window. */
  leading: u8;
  trailing: u8;
  /** Samples in the open chunk. Readers do not look here: they have the count in SeriesHot.open. */
  count: u16;
}
