/**
 * Linear memory, described once for both sides: the kernel uses these classes as views of raw memory (`changetype`),
 * the TypeScript side reads the offsets and constants that layout-exports.ts publishes. Nothing is ever allocated for a
 * class itself.
 *
 *   0          first page: never used, so that address 0 can mean "none"; from CRC_TABLES on, tables computed once
 *   64 KiB     Header: the roots of everything else
 *   128 KiB    fixed regions, sized at creation (createHead); what is never touched costs no memory
 *   heapStart  extents of 4 KiB and more (blocks.ts), among them slabs of 64 KiB full of cells (heap.ts) or blocks
 *
 * A memory has one writer (the thread that created it) and any number of readers. What readers may see changes only by
 * one atomic store of one word, marked "published" below; docs/internals/memory.md has the argument.
 */

/** Twelve CRC32C tables of 1 KiB (bytes.ts), made by initTables(). */
export const CRC_TABLES: usize = 4096;

/** Where the header of a head's memory lies. */
export const HEADER: usize = 65536;

export const SLAB_BYTES: u32 = 65536;

/** A cell: link to the next cell, then payload. Open chunks, chunk lists and late rows are made of cells. */
export const CELL_BYTES: u32 = 64;
export const CELL_PAYLOAD: u32 = 60;

/** Bytes that may be read (never used) past the end of any buffer that a decoder is given. */
export const SLACK_BYTES: u32 = 64;

/**
 * Series are kept in pages of 512, looked up in the directory, so series never move. A page is as large as a slab: when
 * its series are gone, it may become either.
 */
export const SERIES_PAGE_BITS: u32 = 9;
export const SERIES_PER_PAGE: u32 = 1 << SERIES_PAGE_BITS;
/** Refs are never reused; 2^31 of them, ever, fit one data directory. */
export const SERIES_PAGES_MAX: u32 = 1 << 22;
export const PAIR_PAGE_BITS: u32 = 12;
export const PAIRS_PER_PAGE: u32 = 1 << PAIR_PAGE_BITS;
export const PAIR_PAGES_MAX: u32 = 1 << 14;

/** Query workers that can be attached at once. */
export const READER_SLOTS: u32 = 16;
/** Each reader's scratch: two bitmaps, then lists (select.ts). */
export const READER_SCRATCH_BYTES: u32 = 9 << 20;

/**
 * Full chunks wait in these blocks until they are in a head chunk file. Once SEAL_BLOCKS_BUSY_MAX wait, writes
 * are refused; the rest is room for the largest request that was admitted before, so sealing a chunk never fails.
 */
export const SEAL_BLOCKS: u32 = 640;
export const SEAL_BLOCKS_BUSY_MAX: u32 = 64;
export const SEAL_BLOCK_BYTES: u32 = 256 << 10;

/** A chunk is full at this many samples, or where its samples would cross a multiple of CHUNK_RANGE_MS. */
export const CHUNK_SAMPLES: u32 = 120;
export const CHUNK_RANGE_MS: i64 = 7_200_000;

/** Bounds what one request can need of every region below. */
export const SERIES_PER_REQUEST_MAX: u32 = 50_000;
export const SAMPLES_PER_REQUEST_MAX: u32 = 65_000;
/** The writer's scratch, and where in it the pair ids of a new series stand. */
export const SCRATCH_BYTES: u32 = 64 << 10;
export const SCRATCH_PAIRS: u32 = 256;
/** Label names that fit; a name more makes series that carry it count as "head full". */
export const NAMES_MAX: u32 = 1 << 20;
/** Rows kept until their record is durable. During replay the region maps symbols of a segment to pairs instead. */
export const PENDING_BYTES_MAX: u32 = 96 << 20;
/** Labels of one series, canonical. */
export const CANONICAL_BYTES_MAX: u32 = 4 << 20;
/** Wire bytes of one pair: their lengths fit varints of three bytes. */
export const PAIR_BYTES_MAX: u32 = (1 << 21) - 1;
export const LABELS_PER_SERIES_MAX: u32 = 4096;
/** XOR bases kept apart from their series (xor-bases.ts): slots of 16 bytes. */
export const XOR_BASE_SLOTS: u32 = 1 << 23;

/** Times are whole doubles on their way to queries; what lies beyond is refused, never rounded. */
export const TIME_MS_MAX: i64 = 1 << 53;

/** Rejected samples that a result describes one by one. */
export const EXAMPLES_MAX: u32 = 8;

/** Why a sample or series was refused, as in storage.ts' RejectReason; 0 is "accepted". */
export const REJECT_OUT_OF_ORDER: u32 = 1;
export const REJECT_DUPLICATE: u32 = 2;
export const REJECT_TOO_FAR_IN_FUTURE: u32 = 3;
export const REJECT_TOO_OLD: u32 = 4;
export const REJECT_LABELS_INVALID: u32 = 5;
export const REJECT_LABEL_COUNT: u32 = 6;
export const REJECT_LABEL_NAME_LENGTH: u32 = 7;
export const REJECT_LABEL_VALUE_LENGTH: u32 = 8;
export const REJECT_SERIES_LIMIT: u32 = 9;
export const REJECT_UNSUPPORTED: u32 = 10;
export const REJECT_REASONS: u32 = 11;

/** What ingest answers instead of 0 when it did nothing of a request. */
export const INGEST_MALFORMED: i32 = -1;
export const INGEST_TOO_LARGE: i32 = -2;
export const INGEST_TOO_MANY_SERIES: i32 = -3;
export const INGEST_TOO_MANY_SAMPLES: i32 = -4;
export const INGEST_OVERLOADED: i32 = -5;

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

/** What every sample touches: one cache line. */
@unmanaged
export class SeriesHot extends XorState {
  /** Published: first cell u32 | samples u16 | cells u16 of the open chunk; 0 when there is none. */
  open: u64;
  /** SipHash-1-3-128 of the canonical label bytes; both 0 when the ref is not in use. */
  hashLow: u64;
  hashHigh: u64;
  /** Last cell of the open chunk. */
  tailCell: u32;
  /** Header.walSegment when the series was last declared in the WAL. */
  walSegment: u16;
  /** Sample type: 0 float; histograms will be others. */
  kind: u8;
  flags: u8;
}
/** The next WAL sample is XORed against 0: the first of the series in its segment. */
export const FLAG_WAL_FIRST: u8 = 1;
/** Replay keeps the series' XOR base apart, since the sample that it is was not appended. */
export const FLAG_REPLAY_BASE: u8 = 2;
/** The ref has a hot line only because a head chunk file names it; no WAL record has declared its labels yet. */
export const FLAG_UNDECLARED: u8 = 4;
/** In the first line of a page: it has no series left and waits to be freed. */
export const FLAG_PAGE_RETIRED: u8 = 128;

/** The rest of a series: one cache line. */
@unmanaged
export class SeriesCold {
  /** Array of u32 pair ids, ordered by label name. */
  pairs: u32;
  pairCount: u16;
  spare: u16;
  /**
   * Published: entries u32 << 32 | address of the first list cell, in whose low 6 bits (cells are aligned) stands how
   * many entries are no longer valid, counted from the front. Entries 0 and 1 are inline, further ones lie three to a
   * cell.
   */
  list: u64;
  lastListCell: u32;
  /** Published: the series' LateLine, 0 when it has none. */
  late: u32;
  /** Two ChunkEntry of 20 bytes. */
  inline0: u64;
  inline1: u64;
  inline2: u64;
  inline3: u64;
  inline4: u64;
}

/** A full chunk: where it lies in the head chunk files. Packed, 20 bytes. */
export const ENTRY_BYTES: u32 = 20;
export const ENTRY_MINT: usize = 0; // i64
export const ENTRY_SPAN: usize = 8; // u32, maxt - mint in ms
export const ENTRY_OFFSET: usize = 12; // u32, of the entry's header in its file
export const ENTRY_FILE: usize = 16; // u16, low half of the file's index: far fewer files than 65,536 exist at a time
export const ENTRY_DATA_BYTES: usize = 18; // u16
export const ENTRIES_PER_CELL: u32 = 3;
export const ENTRIES_INLINE: u32 = 2;
/** Of SeriesCold.list: at most ENTRIES_INLINE + ENTRIES_PER_CELL - 1 entries are dropped and not yet unlinked. */
export const LIST_DROPPED_MASK: u32 = CELL_BYTES - 1;

/**
 * A label pair, interned once, as it stands on the wire: 0x0a nameBytes name 0x12 valueBytes value. When no series has
 * it any more it is taken out of its name's list and of the table, and its id is used again.
 */
@unmanaged
export class Pair {
  /** Of the wire bytes. */
  address: u32;
  wireBytes: u32;
  /**
   * Published: first block | count u32 << 32 of the postings, refs of the series that have the pair, delta varints in
   * chained blocks (postings.ts). 0 when there are none: then the rest may be anything.
   */
  postings: u64;
  nameId: u32;
  /** Published: next pair of the same name, as id + 1; 0 ends the list. Of a free id: the next free one. */
  nextOfName: u32;
  lastBlock: u32;
  lastRef: u32;
  /** Header.walSegment when the pair was last declared in the WAL, and its symbol id there. */
  walSegment: u32;
  walSymbol: u32;
  /** How many of the postings are of series that are gone; PAIR_GONE: the pair itself is. */
  gone: u32;
  spare: u32;
}
export const PAIR_GONE: u32 = 0xffffffff;

/** A label name. `firstPair` is published. Names stay: there are few. */
@unmanaged
export class Name {
  address: u32;
  nameBytes: u32;
  /** Newest pair of this name, as id + 1. */
  firstPair: u32;
  pairCount: u32;
  /** Pairs in the list that are gone. */
  goneCount: u32;
}

/**
 * An open-addressing table of u64 slots: hash u32 << 32 | id + 1. A slot's place follows from its hash alone, so a
 * table is written anew without looking at what the ids stand for (table.ts).
 */
@unmanaged
export class Table {
  /** Published: address u32 | slots - 1 as u32 << 32, of a table that holds every id. */
  root: u64;
  /** The same of the table that is being filled to take its place, or 0. */
  next: u64;
  /** Slots of `root` that `next` has. */
  moved: u32;
  /** Slots that are not empty, and how many of them are REMOVED. */
  count: u32;
  removed: u32;
  nextCount: u32;
  nextRemoved: u32;
  spare: u32;
}
/** A slot whose id was removed: searches go on behind it, and an id may take it. */
export const REMOVED: u64 = 0x1_0000_0000;

/**
 * A block of chunks on their way to a head chunk file: entries that go to `position`. The queue of blocks (SEAL_QUEUE)
 * is a ring, oldest first:
 *   written, perhaps still read (sealRetired) | taken by the host (sealTaken) | filled or being filled
 *                                    sealFirst ┘                                 sealCount counts from there
 */
@unmanaged
export class SealBlock {
  /** Published: index u32 of the file | offset in it << 32. */
  position: u64;
  /** Published after `position`, and loaded before it; 0 once the file has the entries. */
  usedBytes: u32;
  inUse: u32;
  /** The WAL sequence of the newest sample in it. */
  lastSequence: u64;
  /** Low half of the epoch in which its file had it. */
  retiredEpoch: u16;
  spare: u16;
  spare2: u32;
}

/** Cells that were let go of and may still be read (heap.ts). */
@unmanaged
export class LimboEntry {
  first: u32;
  last: u32;
  cells: u16;
  /** Low half of the epoch in which they were let go of. */
  epoch: u16;
}

/** One refused sample of the last request. */
@unmanaged
export class Example {
  reason: u32;
  /** Index of its SeriesRow. */
  seriesRow: u32;
  timestampMs: i64;
  value: u64;
  /** The series' newest timestamp then. */
  lastTimestampMs: i64;
}

/** One series of the request at hand. */
@unmanaged
export class SeriesRow {
  /** Label fields as they came: where the first begins, where the last ends. */
  labels: u32;
  labelBytes: u32;
  /** The whole TimeSeries message. */
  message: u32;
  messageBytes: u32;
  hashLow: u64;
  hashHigh: u64;
  firstSample: u32;
  sampleCount: u32;
  /** The series, or NO_REF. */
  ref: u32;
  /** A REJECT_ reason for the whole series, or 0. */
  rejected: u32;
  /** Other fields lie between its labels, so the bytes are not what is hashed. */
  scattered: u32;
  /** Histogram samples in it. */
  histograms: u32;
}
export const NO_REF: u32 = 0xffffffff;

/** One sample of the request at hand. */
@unmanaged
export class SampleRow {
  timestampMs: i64;
  value: u64;
}

/** Rows of one record that is not known to be durable: kept so that it can be encoded again for another segment. */
@unmanaged
export class PendingRecord {
  sequence: u64;
  /** Rows that follow. */
  sampleCount: u32;
  /** RECORD_SAMPLES or RECORD_DELETES (wal.ts). */
  type: u32;
}
/** Then sampleCount of these; of a delete the times from and to stand for time and value. */
@unmanaged
export class PendingSample {
  timestampMs: i64;
  value: u64;
  ref: u32;
  /** It went to the late rows. */
  isLate: u32;
}

/** What a read of the header tells: everything hangs off here. Counters are written by the one writer only. */
@unmanaged
export class Header {
  /** Set last by createHead: "head" and the layout's version. */
  magic: u64;
  hashKey0: u64;
  hashKey1: u64;

  // Limits, set by the host.
  memoryBytesMax: u64;
  retentionMs: i64;
  /** How much older than the newest sample a late one may be; 0: none is taken. */
  outOfOrderMs: i64;
  decodedBytesMax: u32;
  bodyBytesMax: u32;
  seriesPerRequestMax: u32;
  samplesPerRequestMax: u32;
  labelsPerSeriesMax: u32;
  labelNameBytesMax: u32;
  labelValueBytesMax: u32;
  /** 0: no record is built, acknowledgement waits for nothing. */
  walEnabled: u32;

  // Fixed regions.
  body: u32;
  decoded: u32;
  seriesRows: u32;
  sampleRows: u32;
  canonical: u32;
  labelScratch: u32;
  declaredSymbols: u32;
  declaredSeries: u32;
  walBuffer0: u32;
  walBuffer1: u32;
  walBufferBytes: u32;
  pending: u32;
  sealData: u32;
  seriesDirectory: u32;
  pairDirectory: u32;
  readerScratch: u32;
  xorBases: u32;
  /** For the function at hand only: hashes and varints in the first 256 bytes, pair ids from SCRATCH_PAIRS on. */
  scratch: u32;
  names: u32;

  // Heap (heap.ts).
  heapStart: u32;
  heapNext: u32;
  heapEnd: u32;
  slabNext: u32;
  slabEnd: u32;
  cellFree: u32;
  cellsFree: u32;
  cellNext: u32;
  cellEnd: u32;

  /** Published: readers pin it (heap.ts). */
  epoch: u32;
  /** Queue of LimboEntry in a chain of cells: where its first entry lies, how many there are. */
  limboFirstCell: u32;
  limboLastCell: u32;
  limboFront: u32;
  limboCount: u32;
  /** Debug build only: frees what readers may still follow, so that a test can see that epochs are needed. */
  ignoreReaders: u32;
  /** Cells that went through limbo. */
  cellsReclaimed: u64;

  /** Free blocks and extents (blocks.ts): their bytes, and those of the large extents among them. */
  freeBytes: u64;
  freeLargeBytes: u64;
  /** Published: readers pin it as their view (views.ts). */
  viewEpoch: u32;
  /** In which something was last retired. */
  viewRetired: u32;
  /** Queue of ViewLimboEntry in a chain of blocks. */
  viewLimboFirst: u32;
  viewLimboLast: u32;
  viewLimboFront: u32;
  viewLimboCount: u32;
  /** Debug build only: as ignoreReaders, for views. */
  ignoreViews: u32;

  // Series and labels.
  /** Published: a ref below it that is in use is complete, postings included; those not in use have hash 0. */
  seriesNext: u32;
  seriesCount: u32;
  nameNext: u32;
  /** Published. */
  pairNext: u32;
  seriesCreated: u64;
  seriesCollected: u64;
  /** A free pair id + 1, the first of a list, and how many there are; pairs that are gone and not yet free. */
  pairFree: u32;
  pairsFree: u32;
  pairsGone: u32;
  spare: u32;
  /** Newest sequence when a series last lost chunks: once it is durable, no empty series has a row that is not. */
  emptiedSequence: u64;

  // Open and full chunks.
  openChunks: u32;
  /** Entries in all chunk lists. */
  fullChunks: u32;
  chunkFileIndex: u32;
  chunkFileOffset: u32;
  chunkFileBytesMax: u32;
  /** The queue of blocks (SealBlock). */
  sealFirst: u32;
  sealCount: u32;
  sealTaken: u32;
  sealRetired: u32;
  chunksSealed: u64;
  chunkBytesSealed: u64;
  /** Start of the chunk range that the last sample was in. */
  rangeStartMs: i64;
  minTimeMs: i64;
  maxTimeMs: i64;

  // Late samples.
  /** Samples before it are late: what is in order there is final. */
  floorMs: i64;
  /** Samples of records up to this sequence, before this time, are in blocks: chunks here may still have some. */
  flushedSequence: u64;
  flushedMs: i64;
  lateRows: u32;
  lateRowsTotal: u64;

  // WAL.
  walSegment: u32;
  walSymbolNext: u32;
  /** Sequence of the newest record. */
  walSequence: u64;
  /** Highest sequence known to be durable; goes into each record. */
  walSynced: u64;
  /** Which of the two buffers records are built in, and how much of it is used. */
  walActive: u32;
  walUsed: u32;
  /** Where the rows of the oldest record begin, from `pending` on, and how many bytes of rows there are. */
  pendingFirst: u32;
  pendingBytes: u32;
  /** The record being built: where its samples end, what it declares, what its next sample is encoded against. */
  recordEnd: u32;
  symbolBytes: u32;
  symbolCount: u32;
  declaredBytes: u32;
  declaredCount: u32;
  lastDeclaredRef: u32;
  lastRef: u32;
  recordStart: u32;
  pendingStart: u32;
  pendingEnd: u32;
  /** Bytes of declarations (symbols and series) among the records in the active buffer. */
  walDeclaredBytes: u32;
  lastTimeMs: i64;
  /** Sequence of the newest record in the active buffer or, when that is empty, of the last one taken from it. */
  walEncoded: u64;
  /** While pending rows are encoded again: the sequence to go on with; otherwise 0. */
  reencodeNext: u64;
  /** Bases put in this segment (xor-bases.ts). */
  xorBaseSegment: u32;
  xorBaseCount: u32;

  /** Where the record being replayed goes on. */
  replayAt: u32;
  /** The newest record that was replayed: what stands in the log twice does not become late twice. */
  replayedSequence: u64;

  // The last request.
  /** Times that it may have. */
  newestMs: i64;
  oldestMs: i64;
  seriesRowCount: u32;
  sampleRowCount: u32;
  accepted: u32;
  duplicates: u32;
  exampleCount: u32;
  histogramCount: u32;
  /** Newest timestamp in the last record. */
  recordMaxTimeMs: i64;

  /** Written so that the loads that warm the cache are not optimised away. */
  touched: u64;

  // Totals.
  samplesTotal: u64;
  duplicatesTotal: u64;
}

/** Behind the header, which ends before 4 KiB, inside its 64 KiB: arrays. */
export const TABLE_SERIES: usize = HEADER + 4096;
export const TABLE_PAIRS: usize = HEADER + 4096 + 64;
export const TABLE_NAMES: usize = HEADER + 4096 + 128;
export const REJECT_COUNTS: usize = HEADER + 4352; // u32 per reason, of the last request
export const EXAMPLES: usize = HEADER + 4608;
/** Heads of the lists of free extents, by the logarithm of their size, and of free blocks, by class (blocks.ts). */
export const FREE_EXTENTS: usize = HEADER + 5120; // 32 u32
export const FREE_BLOCKS: usize = HEADER + 5376; // 64 u32
export const COLLECTION: usize = HEADER + 5632;
/** The Pair whose postings are being written anew. */
export const COLLECTION_PAIR: usize = HEADER + 5760;
/** Per reader: the epoch it has pinned, 0 when it reads nothing; one cache line each. Published by the reader. */
export const READERS: usize = HEADER + 8192;
export const READER_BYTES: u32 = 64;
/** In it: the epoch of its view, 0 without a query. Published by the reader. */
export const READER_VIEW: u32 = 4;
/** Blocks of the queue of what views may still see. */
export const VIEW_LIMBO_BYTES: u32 = 4096;
export const SEAL_CONTROL: usize = HEADER + 16384;
/** Larger blocks are taken from the heap directly. */
export const BLOCK_BYTES_MAX: u32 = 4096;
/** Indexes of seal blocks in the order they were filled: a ring, so that the lowest free block can be used next. */
export const SEAL_QUEUE: usize = HEADER + 40960;
/** Where the fixed regions begin. */
export const REGIONS: usize = HEADER + 65536;
export const MAGIC: u64 = 0x0000_0001_6461_6568; // "head", layout 1

@inline
export function header(): Header {
  return changetype<Header>(HEADER);
}
