/** Lays out a new head: header, fixed regions, first tables. The host calls it once, in the thread that will write. */
import {
  CANONICAL_BYTES_MAX,
  header,
  LABELS_PER_SERIES_MAX,
  MAGIC,
  NAMES_MAX,
  Name,
  PAIR_PAGES_MAX,
  PENDING_BYTES_MAX,
  READER_SCRATCH_BYTES,
  READER_SLOTS,
  REGIONS,
  SampleRow,
  SAMPLES_PER_REQUEST_MAX,
  SCRATCH_BYTES,
  SEAL_BLOCK_BYTES,
  SEAL_BLOCKS,
  SERIES_PAGES_MAX,
  SERIES_PER_REQUEST_MAX,
  SeriesRow,
  SLAB_BYTES,
  SLACK_BYTES,
  Table,
  TABLE_NAMES,
  TABLE_PAIRS,
  TABLE_SERIES,
  XOR_BASE_SLOTS,
} from "./layout";
import { initTables } from "./bytes";
import { CHUNK_FILE_HEADER_BYTES } from "./chunk";
import { LabelSpan } from "./labels";
import { tableCreate } from "./table";

/** Compressed or decoded, so that sums of such sizes do not wrap. */
const REQUEST_BYTES_MAX: u32 = 1 << 30;
/** The heap must be left so much, for the first tables and then some series. */
const HEAP_BYTES_MIN: u64 = 16 << 20;
/** Each region begins at a multiple of this. */
const REGION_ALIGN: u64 = 4096;

/** The address of a region of `bytes`; when all of them are too many for the memory, heapNext ends at heapEnd. */
function region(bytes: u64): u32 {
  const h = header();
  const address = h.heapNext;
  // Slack behind each region: decoders may read, and wide stores may touch, a few bytes past the end.
  const end = (u64(address) + bytes + SLACK_BYTES + REGION_ALIGN - 1) & ~(REGION_ALIGN - 1);
  h.heapNext = u32(min<u64>(end, h.heapEnd));
  return address;
}

/**
 * The memory has its whole size from the start: a page costs nothing until it is touched, and a memory that grows would
 * have other threads look at its old end for a while.
 * @param bodyBytesMax compressed request; @param decodedBytesMax the same decoded
 * @returns false when the memory is too small for the regions that these ask for
 */
export function createHead(hashKey0: u64, hashKey1: u64, bodyBytesMax: u32, decodedBytesMax: u32): bool {
  const h = header();
  h.heapNext = u32(REGIONS);
  // The last page is left alone: sums of an address and a small number must not wrap.
  h.heapEnd = u32(min<i32>(memory.size(), 65535)) << 16;
  h.hashKey0 = hashKey0;
  h.hashKey1 = hashKey1;
  h.bodyBytesMax = bodyBytesMax;
  h.decodedBytesMax = decodedBytesMax;
  h.seriesPerRequestMax = SERIES_PER_REQUEST_MAX;
  h.samplesPerRequestMax = SAMPLES_PER_REQUEST_MAX;
  if (bodyBytesMax > REQUEST_BYTES_MAX || decodedBytesMax > REQUEST_BYTES_MAX) return false;
  h.walBufferBytes = decodedBytesMax * 2 + (8 << 20);
  h.body = region(bodyBytesMax);
  h.decoded = region(decodedBytesMax);
  h.seriesRows = region(u64(SERIES_PER_REQUEST_MAX) * offsetof<SeriesRow>());
  h.sampleRows = region(u64(SAMPLES_PER_REQUEST_MAX) * offsetof<SampleRow>());
  h.scratch = region(SCRATCH_BYTES);
  h.labelScratch = region(u64(LABELS_PER_SERIES_MAX * 2 + 2) * offsetof<LabelSpan>());
  h.canonical = region(CANONICAL_BYTES_MAX);
  // What a request declares it carries itself, and in no fewer bytes.
  h.declaredSymbols = region(decodedBytesMax);
  h.declaredSeries = region(decodedBytesMax);
  h.walBuffer0 = region(h.walBufferBytes);
  h.walBuffer1 = region(h.walBufferBytes);
  h.pending = region(PENDING_BYTES_MAX);
  h.sealData = region(u64(SEAL_BLOCKS) * SEAL_BLOCK_BYTES);
  h.seriesDirectory = region(u64(SERIES_PAGES_MAX) << 2);
  h.pairDirectory = region(u64(PAIR_PAGES_MAX) << 2);
  h.names = region(u64(NAMES_MAX) * offsetof<Name>());
  h.readerScratch = region(u64(READER_SLOTS) * READER_SCRATCH_BYTES);
  h.xorBases = region(u64(XOR_BASE_SLOTS) << 4);
  if (u64(h.heapNext) + HEAP_BYTES_MIN > u64(h.heapEnd)) return false;
  h.heapNext = (h.heapNext + SLAB_BYTES - 1) & ~(SLAB_BYTES - 1);
  h.heapStart = h.heapNext;

  h.epoch = 1;
  h.viewEpoch = 1;
  h.walSegment = 1;
  h.chunkFileIndex = 1;
  h.chunkFileOffset = CHUNK_FILE_HEADER_BYTES;
  h.chunkFileBytesMax = SEAL_BLOCK_BYTES;
  h.minTimeMs = i64.MAX_VALUE;
  h.maxTimeMs = i64.MIN_VALUE;
  h.floorMs = i64.MIN_VALUE;
  h.flushedMs = i64.MIN_VALUE;
  h.rangeStartMs = i64.MIN_VALUE;
  initTables();
  tableCreate(changetype<Table>(TABLE_SERIES), 14);
  tableCreate(changetype<Table>(TABLE_PAIRS), 13);
  tableCreate(changetype<Table>(TABLE_NAMES), 8);
  h.magic = MAGIC;
  return true;
}
