/** What hangs off a series' late word; a part of layout.ts. */

/**
 * What a series has of late samples and of deletes: a cell of its own, since most series have neither (late.ts). Rows
 * and deletes are lists of the same form.
 */
@unmanaged
export class LateLine {
  /** Of the cell. */
  link: u32;
  spare: u32;
  /** Two RowList. */
  rows: u64;
  rowsLast: u64;
  deletes: u64;
  deletesLast: u64;
  /** The late row with the newest time that there ever was: tells duplicates. */
  newestMs: i64;
  newestValue: u64;
  /** No row is older. */
  oldestMs: i64;
}

/** A list of rows, three to a cell. */
@unmanaged
export class RowList {
  /** Published: rows u32 << 32 | address of the first cell; 0 without rows. */
  word: u64;
  lastCell: u32;
  spare: u32;
}

/** A late sample, or a range of time that is deleted of a series. Packed, as long as a ChunkEntry. */
export const ROW_TIME: usize = 0; // i64
export const ROW_VALUE: usize = 8; // u64
export const ROW_MINT: usize = 0; // i64
export const ROW_MAXT: usize = 8; // i64
/** Low half of the WAL sequence of its record: rows are in memory for far fewer than 2^31 records. */
export const ROW_SEQUENCE: usize = 16; // u32
