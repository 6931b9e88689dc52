/**
 * Label names and pairs, interned once and never moved. A pair is kept as its wire bytes (0x0a nameBytes name 0x12
 * valueBytes value, minimal varints), so that the labels of a series can be compared and written without parsing.
 *
 * Canonical label bytes, which identify a series, are its pairs' wire bytes in order of name, each behind 0x0a and its
 * length: just what a well-behaved sender puts on the wire.
 */
import {
  CANONICAL_BYTES_MAX,
  header,
  Header,
  LABELS_PER_SERIES_MAX,
  Name,
  NAMES_MAX,
  Pair,
  PAIR_BYTES_MAX,
  PAIR_PAGES_MAX,
  PAIRS_PER_PAGE,
  REJECT_LABEL_COUNT,
  REJECT_LABEL_NAME_LENGTH,
  REJECT_LABEL_VALUE_LENGTH,
  REJECT_LABELS_INVALID,
  Table,
  TABLE_NAMES,
  TABLE_PAIRS,
} from "./layout";
import { allocateBlock, heapBytesForBlocks } from "./blocks";
import { equalBytes, isValidUtf8 } from "./bytes";
import { hash32 } from "./hash";
import { addPairPage, PAIR_PAGE_BYTES, pairOf } from "./postings";
import { isSlotOf, slotId, tableBytesToInsert, tableInsert, tableRoot, tableSlot } from "./table";
import { putVarint, varintBytes } from "./varint";

/** A label as it was found in a message: where its name and value lie. */
@unmanaged
export class LabelSpan {
  name: u32;
  nameBytes: u32;
  value: u32;
  valueBytes: u32;
}

@inline
export function nameOf(id: u32): Name {
  return changetype<Name>(usize(header().names) + usize(id) * offsetof<Name>());
}

/** The id + 1 of a name whose hash32 is `hash`, 0 when no series has it. Safe for readers. */
export function findName(address: usize, bytes: u32, hash: u32): u32 {
  const root = tableRoot(changetype<Table>(TABLE_NAMES));
  for (let at = hash, slot = tableSlot(root, at); slot != 0; slot = tableSlot(root, ++at)) {
    if (!isSlotOf(slot, hash)) continue;
    const name = nameOf(slotId(slot));
    if (name.nameBytes == bytes && equalBytes(name.address, address, bytes)) return slotId(slot) + 1;
  }
  return 0;
}

/** The id + 1 of a pair given as wire bytes whose hash32 is `hash`, 0 when no series has it. Safe for readers. */
export function findPair(address: usize, bytes: u32, hash: u32): u32 {
  const root = tableRoot(changetype<Table>(TABLE_PAIRS));
  for (let at = hash, slot = tableSlot(root, at); slot != 0; slot = tableSlot(root, ++at)) {
    if (!isSlotOf(slot, hash)) continue;
    const pair = pairOf(slotId(slot));
    if (pair.wireBytes == bytes && equalBytes(pair.address, address, bytes)) return slotId(slot) + 1;
  }
  return 0;
}

/** Whether there are ids for so many pairs more. */
export function hasIdsForPairs(pairs: u32): bool {
  const h = header();
  return h.pairNext - h.pairsFree + pairs <= PAIR_PAGES_MAX * PAIRS_PER_PAGE && h.nameNext + pairs <= NAMES_MAX;
}

/** Memory that interning `pairs` pairs of `bytes` wire bytes in all may take. */
export function heapBytesForPairs(pairs: u32, bytes: u32): u64 {
  return (
    // Each pair's bytes, and those of its name once more.
    heapBytesForBlocks(u64(bytes) * 2, u64(pairs) * 2) +
    u64(pairs / PAIRS_PER_PAGE + 1) * PAIR_PAGE_BYTES +
    tableBytesToInsert(changetype<Table>(TABLE_PAIRS), pairs) +
    tableBytesToInsert(changetype<Table>(TABLE_NAMES), pairs)
  );
}

function internName(address: usize, bytes: u32): u32 {
  const h = header();
  const hash = hash32(address, bytes, h.scratch);
  const found = findName(address, bytes, hash);
  if (found != 0) return found - 1;
  const id = h.nameNext;
  // The caller asked hasIdsForPairs.
  if (id == NAMES_MAX) unreachable();
  const copy = allocateBlock(max<u32>(bytes, 1));
  memory.copy(copy, address, bytes);
  const name = nameOf(id);
  name.address = u32(copy);
  name.nameBytes = bytes;
  tableInsert(changetype<Table>(TABLE_NAMES), hash, id);
  atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("nameNext"), id + 1);
  return id;
}

/** The id of the pair with these wire bytes, made if it is new. */
export function internPair(address: usize, bytes: u32): u32 {
  const h = header();
  const hash = hash32(address, bytes, h.scratch);
  const found = findPair(address, bytes, hash);
  if (found != 0) return found - 1;
  let id = h.pairNext;
  const isReused = h.pairFree != 0;
  if (isReused) {
    id = h.pairFree - 1;
    h.pairFree = pairOf(id).nextOfName;
    h.pairsFree--;
  } else addPairPage(id);
  const pair = pairOf(id);
  pair.gone = 0;
  const copy = allocateBlock(bytes);
  memory.copy(copy, address, bytes);
  pair.address = u32(copy);
  pair.wireBytes = bytes;
  const nameAddress = wireName(copy);
  pair.nameId = internName(nameAddress, wireNameBytes(copy));
  const name = nameOf(pair.nameId);
  pair.nextOfName = name.firstPair;
  tableInsert(changetype<Table>(TABLE_PAIRS), hash, id);
  name.pairCount++;
  atomic.store<u32>(changetype<usize>(name) + offsetof<Name>("firstPair"), id + 1);
  if (!isReused) atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("pairNext"), id + 1);
  return id;
}

/** Address of the name in a pair's wire bytes, and its length. */
@inline
export function wireName(pair: usize): usize {
  return pair + 1 + lengthBytesAt(pair + 1);
}
@inline
export function wireNameBytes(pair: usize): u32 {
  return lengthAt(pair + 1);
}
/** Where the value's tag stands. */
@inline
export function wireValueTag(pair: usize): usize {
  return wireName(pair) + wireNameBytes(pair);
}
/** Address of the value; it ends where the pair ends. */
@inline
export function wireValue(pair: usize): usize {
  const tag = wireValueTag(pair);
  return tag + 1 + lengthBytesAt(tag + 1);
}
/** Length of the wire bytes of a pair. */
@inline
export function wireBytesOf(nameBytes: u32, valueBytes: u32): u32 {
  return 2 + varintBytes(nameBytes) + nameBytes + varintBytes(valueBytes) + valueBytes;
}

/** Lengths in canonical bytes are minimal varints of at most three bytes (PAIR_BYTES_MAX). */
@inline
function lengthAt(at: usize): u32 {
  const first = u32(load<u8>(at));
  if (first < 128) return first;
  const second = u32(load<u8>(at, 1));
  if (second < 128) return (first & 127) | (second << 7);
  return (first & 127) | ((second & 127) << 7) | (u32(load<u8>(at, 2)) << 14);
}
@inline
function lengthBytesAt(at: usize): u32 {
  return load<u8>(at) < 128 ? 1 : load<u8>(at, 1) < 128 ? 2 : 3;
}

/** How many pairs canonical label bytes have. */
export function countPairs(canonical: usize, bytes: u32): u32 {
  let count: u32 = 0;
  for (let at = canonical; at < canonical + bytes; count++) at += 1 + lengthBytesAt(at + 1) + lengthAt(at + 1);
  return count;
}

/** Interns the pairs of canonical label bytes; their ids go to `ids`. @returns how many there are */
export function internPairs(canonical: usize, bytes: u32, ids: usize): u32 {
  const end = canonical + bytes;
  let count: u32 = 0;
  for (let at = canonical; at < end; ) {
    const length = lengthAt(at + 1);
    at += 1 + lengthBytesAt(at + 1);
    store<u32>(ids + (usize(count++) << 2), internPair(at, length));
    at += length;
  }
  return count;
}

/** Writes the canonical bytes of the labels whose pair ids are given; returns their length. */
export function writeCanonical(ids: usize, count: u32, out: usize): u32 {
  let at = out;
  for (let i: u32 = 0; i < count; i++) {
    const pair = pairOf(load<u32>(ids + (usize(i) << 2)));
    store<u8>(at++, 0x0a);
    at = putVarint(at, pair.wireBytes);
    memory.copy(at, pair.address, pair.wireBytes);
    at += pair.wireBytes;
  }
  return u32(at - out);
}

/** Bytes in Go's order: shorter first when one is the other's beginning. */
export function compareBytes(a: usize, aBytes: u32, b: usize, bBytes: u32): i32 {
  const order = memory.compare(a, b, min(aBytes, bBytes));
  return order != 0 ? order : i32(aBytes) - i32(bBytes);
}

@inline
function spanAt(spans: usize, i: u32): LabelSpan {
  return changetype<LabelSpan>(spans + usize(i) * offsetof<LabelSpan>());
}

/** Sorts labels by name. @returns false when a name is there twice */
function sortLabels(spans: usize, count: u32): bool {
  // Behind the labels there is room for one more: the label on the move.
  const moving = spanAt(spans, count);
  for (let i: u32 = 1; i < count; i++) {
    const label = spanAt(spans, i);
    // Labels nearly always come sorted; if not, a binary search and one move of memory keep it n log n and a bit.
    let low: u32 = 0;
    let high = i;
    for (let middle = i - 1; low < high; middle = (low + high) >> 1) {
      const before = spanAt(spans, middle);
      const order = compareBytes(before.name, before.nameBytes, label.name, label.nameBytes);
      if (order == 0) return false;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    if (low == i) continue;
    const place = changetype<usize>(spanAt(spans, low));
    memory.copy(changetype<usize>(moving), changetype<usize>(label), offsetof<LabelSpan>());
    memory.copy(place + offsetof<LabelSpan>(), place, usize(i - low) * offsetof<LabelSpan>());
    memory.copy(place, changetype<usize>(moving), offsetof<LabelSpan>());
  }
  return true;
}

/** Why a label is refused by itself: a REJECT_ reason, or 0. */
function faultOf(label: LabelSpan): u32 {
  const h = header();
  if (label.nameBytes == 0) return REJECT_LABELS_INVALID;
  if (label.nameBytes > h.labelNameBytesMax) return REJECT_LABEL_NAME_LENGTH;
  if (label.valueBytes > h.labelValueBytesMax) return REJECT_LABEL_VALUE_LENGTH;
  if (u64(label.nameBytes) + label.valueBytes + 16 > u64(PAIR_BYTES_MAX)) return REJECT_LABEL_VALUE_LENGTH;
  const isText = isValidUtf8(label.name, label.nameBytes) && isValidUtf8(label.value, label.valueBytes);
  return isText ? 0 : REJECT_LABELS_INVALID;
}

/**
 * Sorts and checks labels (`count` LabelSpans at `spans`, and room for one more) and writes their canonical bytes to
 * `out`. A label with an empty value counts as absent, as everywhere in Prometheus.
 * @returns the byte length, or a REJECT_ reason as its negative
 */
export function canonicalize(spans: usize, count: u32, out: usize): i32 {
  let present: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const fault = faultOf(spanAt(spans, i));
    if (fault != 0) return -i32(fault);
    if (spanAt(spans, i).valueBytes != 0) present++;
  }
  if (present > min<u32>(header().labelsPerSeriesMax, LABELS_PER_SERIES_MAX)) return -i32(REJECT_LABEL_COUNT);
  if (!sortLabels(spans, count)) return -i32(REJECT_LABELS_INVALID);
  let to = out;
  let hasMetricName = false;
  for (let i: u32 = 0; i < count; i++) {
    const label = spanAt(spans, i);
    if (label.valueBytes == 0) continue;
    if (label.nameBytes == 8 && load<u64>(label.name) == METRIC_NAME) hasMetricName = true;
    const wireBytes = wireBytesOf(label.nameBytes, label.valueBytes);
    if (u64(to - out) + wireBytes + 8 > u64(CANONICAL_BYTES_MAX)) return -i32(REJECT_LABEL_VALUE_LENGTH);
    store<u8>(to++, 0x0a);
    to = putVarint(to, wireBytes);
    store<u8>(to++, 0x0a);
    to = putVarint(to, label.nameBytes);
    memory.copy(to, label.name, label.nameBytes);
    to += label.nameBytes;
    store<u8>(to++, 0x12);
    to = putVarint(to, label.valueBytes);
    memory.copy(to, label.value, label.valueBytes);
    to += label.valueBytes;
  }
  return hasMetricName ? i32(to - out) : -i32(REJECT_LABELS_INVALID);
}

/** "__name__" as a little-endian word. */
const METRIC_NAME: u64 = 0x5f5f_656d_616e_5f5f;

/** Copies pair ids of a new series to a block of their own. */
export function keepPairs(ids: usize, count: u32): usize {
  const block = allocateBlock(count << 2);
  memory.copy(block, ids, count << 2);
  return block;
}
