/** Offsets that the host reads and writes, as exported constants: addresses of header fields, and field offsets. */
import { ChunkRecord } from "./select";
import { Example, Header, HEADER, SealBlock, SeriesRow } from "./layout";

export {
  EXAMPLES,
  HEADER,
  PENDING_BYTES_MAX,
  READER_SLOTS,
  REJECT_COUNTS,
  SEAL_CONTROL,
} from "./layout";

// Limits and switches, written by the host.
export const H_MEMORY_BYTES_MAX = HEADER + offsetof<Header>("memoryBytesMax"); // u64
export const H_RETENTION_MS = HEADER + offsetof<Header>("retentionMs"); // i64
export const H_OUT_OF_ORDER_MS = HEADER + offsetof<Header>("outOfOrderMs"); // i64
export const H_FLUSHED_MS = HEADER + offsetof<Header>("flushedMs"); // i64
export const H_FLUSHED_SEQUENCE = HEADER + offsetof<Header>("flushedSequence"); // u64
export const H_FLOOR_MS = HEADER + offsetof<Header>("floorMs"); // i64
export const H_SERIES_PER_REQUEST_MAX = HEADER + offsetof<Header>("seriesPerRequestMax");
export const H_LABELS_PER_SERIES_MAX = HEADER + offsetof<Header>("labelsPerSeriesMax");
export const H_LABEL_NAME_BYTES_MAX = HEADER + offsetof<Header>("labelNameBytesMax");
export const H_LABEL_VALUE_BYTES_MAX = HEADER + offsetof<Header>("labelValueBytesMax");
export const H_WAL_ENABLED = HEADER + offsetof<Header>("walEnabled");
export const H_WAL_SEQUENCE = HEADER + offsetof<Header>("walSequence"); // u64
export const H_WAL_ENCODED = HEADER + offsetof<Header>("walEncoded"); // u64
export const H_CHUNK_FILE_INDEX = HEADER + offsetof<Header>("chunkFileIndex");
export const H_CHUNK_FILE_OFFSET = HEADER + offsetof<Header>("chunkFileOffset");
export const H_CHUNK_FILE_BYTES_MAX = HEADER + offsetof<Header>("chunkFileBytesMax");

// Regions.
export const H_BODY = HEADER + offsetof<Header>("body");
export const H_DECODED = HEADER + offsetof<Header>("decoded");
export const H_SERIES_ROWS = HEADER + offsetof<Header>("seriesRows");
export const H_WAL_BUFFER_0 = HEADER + offsetof<Header>("walBuffer0");
export const H_WAL_BUFFER_1 = HEADER + offsetof<Header>("walBuffer1");
export const H_WAL_ACTIVE = HEADER + offsetof<Header>("walActive");
export const H_WAL_USED = HEADER + offsetof<Header>("walUsed");
export const H_WAL_BUFFER_BYTES = HEADER + offsetof<Header>("walBufferBytes");
export const H_WAL_DECLARED_BYTES = HEADER + offsetof<Header>("walDeclaredBytes");
export const H_PENDING_BYTES = HEADER + offsetof<Header>("pendingBytes");

// What the last request or record came to.
export const H_ACCEPTED = HEADER + offsetof<Header>("accepted");
export const H_DUPLICATES = HEADER + offsetof<Header>("duplicates");
export const H_EXAMPLE_COUNT = HEADER + offsetof<Header>("exampleCount");
export const H_RECORD_MAX_TIME_MS = HEADER + offsetof<Header>("recordMaxTimeMs"); // i64

// Gauges and totals.
export const H_HEAP_NEXT = HEADER + offsetof<Header>("heapNext");
export const H_HEAP_END = HEADER + offsetof<Header>("heapEnd");
export const H_SERIES_COUNT = HEADER + offsetof<Header>("seriesCount");
export const H_SERIES_CREATED = HEADER + offsetof<Header>("seriesCreated"); // u64
export const H_SERIES_NEXT = HEADER + offsetof<Header>("seriesNext");
export const H_PAIR_NEXT = HEADER + offsetof<Header>("pairNext");
export const H_OPEN_CHUNKS = HEADER + offsetof<Header>("openChunks");
export const H_FULL_CHUNKS = HEADER + offsetof<Header>("fullChunks");
export const H_CHUNKS_SEALED = HEADER + offsetof<Header>("chunksSealed"); // u64
export const H_SEAL_COUNT = HEADER + offsetof<Header>("sealCount");
export const H_MIN_TIME_MS = HEADER + offsetof<Header>("minTimeMs"); // i64
export const H_MAX_TIME_MS = HEADER + offsetof<Header>("maxTimeMs"); // i64
export const H_LATE_ROWS = HEADER + offsetof<Header>("lateRows");
export const H_LATE_ROWS_TOTAL = HEADER + offsetof<Header>("lateRowsTotal"); // u64
export const H_SAMPLES_TOTAL = HEADER + offsetof<Header>("samplesTotal"); // u64
export const H_DUPLICATES_TOTAL = HEADER + offsetof<Header>("duplicatesTotal"); // u64
export const H_CELLS_RECLAIMED = HEADER + offsetof<Header>("cellsReclaimed"); // u64
export const H_SERIES_COLLECTED = HEADER + offsetof<Header>("seriesCollected"); // u64
export const H_PAIRS_FREE = HEADER + offsetof<Header>("pairsFree");
export const H_PAIRS_GONE = HEADER + offsetof<Header>("pairsGone");
export const H_VIEW_LIMBO_COUNT = HEADER + offsetof<Header>("viewLimboCount");
export const H_IGNORE_VIEWS = HEADER + offsetof<Header>("ignoreViews"); // in the debug build
export const H_EPOCH = HEADER + offsetof<Header>("epoch");
export const H_IGNORE_READERS = HEADER + offsetof<Header>("ignoreReaders"); // in the debug build

export const SEAL_BLOCK_SIZE = offsetof<SealBlock>();
export const SEAL_BLOCK_FILE_INDEX = offsetof<SealBlock>("position"); // u32
export const SEAL_BLOCK_START_OFFSET = offsetof<SealBlock>("position") + 4; // u32
export const SEAL_BLOCK_USED_BYTES = offsetof<SealBlock>("usedBytes");

export const EXAMPLE_SIZE = offsetof<Example>();
export const EXAMPLE_REASON = offsetof<Example>("reason");
export const EXAMPLE_SERIES_ROW = offsetof<Example>("seriesRow");
export const EXAMPLE_TIMESTAMP_MS = offsetof<Example>("timestampMs");
export const EXAMPLE_VALUE = offsetof<Example>("value");
export const EXAMPLE_LAST_TIMESTAMP_MS = offsetof<Example>("lastTimestampMs");

export const SERIES_ROW_SIZE = offsetof<SeriesRow>();
export const SERIES_ROW_MESSAGE = offsetof<SeriesRow>("message");
export const SERIES_ROW_MESSAGE_BYTES = offsetof<SeriesRow>("messageBytes");

export const CHUNK_RECORD_SIZE = offsetof<ChunkRecord>();
export const CHUNK_RECORD_SERIES = offsetof<ChunkRecord>("series");
export const CHUNK_RECORD_ADDRESS = offsetof<ChunkRecord>("address");
export const CHUNK_RECORD_DATA_BYTES = offsetof<ChunkRecord>("dataBytes");
export const CHUNK_RECORD_ENCODING = offsetof<ChunkRecord>("encoding");
export const CHUNK_RECORD_MINT = offsetof<ChunkRecord>("mint"); // i64
export const CHUNK_RECORD_MAXT = offsetof<ChunkRecord>("maxt"); // i64
export const CHUNK_RECORD_FILE_INDEX = offsetof<ChunkRecord>("fileIndex");
export const CHUNK_RECORD_OFFSET = offsetof<ChunkRecord>("offset");
