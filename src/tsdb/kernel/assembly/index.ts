/** The kernel's exports: all that runs per sample or per series. See layout.ts for the memory they work on. */
export * from "./bytes";
export * from "./snappy";
export * from "./siphash";
export { xorDecode, xorEncode } from "./xor";
export { xor2Decode } from "./xor2";
export { packedDecode, packedEncode, packedSampleCount } from "./packed";
export { rawDecode, rawEncode } from "./raw";
export * from "./decode-chunk";
export * from "./merge-samples";
export * from "./hash-samples";
export * from "./window";
export * from "./window-rate";
export * from "./window-over-time";
export * from "./aggregate";

export * from "./layout-exports";
export { createHead } from "./create";
export { ingest, ingestSnappy } from "./ingest";
export { beginSegment, reencodePending, setSynced, takeRecords } from "./wal";
export { deleteSamples } from "./delete";
export { loadChunk, replayDeletes, replayRecord } from "./replay";
export { sealBlockData, sealRelease, sealTake, sealUntake } from "./chunk";
export { dropChunks } from "./retention";
export { allocateExtent } from "./blocks";
export { advanceEpoch, heapBytesFree, heapBytesUsed, pin, unpin } from "./heap";
export { pinView, unpinView } from "./views";
export { collectBegin, collectSome } from "./collect";
export {
  gather,
  keyAddress,
  listAddress,
  listIdsMax,
  listPairs,
  lookupName,
  lookupPair,
  nameAddress,
  nameBytes,
  nameCount,
  namePairCount,
  pairNameAddress,
  pairNameBytes,
  pairNameId,
  pairPostings,
  pairValueAddress,
  pairValueBytes,
  recordsAddress,
  refCount,
  selectAll,
  selectApply,
  selectCollect,
  selectOverlapping,
  selectUnion,
  seriesPairCount,
  seriesPairs,
  WINDOW_REFS,
} from "./select";
