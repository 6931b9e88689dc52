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
  Name,
  NAMES_MAX,
  Pair,
  REJECT_LABEL_COUNT,
  REJECT_LABEL_NAME_LENGTH,
  REJECT_LABEL_VALUE_LENGTH,
  REJECT_LABELS_INVALID,
  Table,
  TABLE_NAMES,
  TABLE_PAIRS,
} from "./layout";
import { allocateBlock } from "./heap";
import { equalBytes, isValidUtf8 } from "./bytes";
import { siphash64 } from "./hash";
import { addPairPage, pairOf } from "./postings";
import { probe, tableInsert } from "./table";

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

@inline
function hash32(address: usize, bytes: u32): u32 {
  return u32(siphash64(address, bytes));
}

/** The id + 1 of a name, 0 when no series has it. Safe for readers. */
export function findName(address: usize, bytes: u32): u32 {
  const hash = hash32(address, bytes);
  const table = changetype<Table>(TABLE_NAMES);
  for (let found = probe(table, hash, 0); u32(found) != 0; found = probe(table, hash, u32(found >> 32))) {
    const name = nameOf(u32(found) - 1);
    if (name.nameBytes == bytes && equalBytes(name.address, address, bytes)) return u32(found);
  }
  return 0;
}

/** The id + 1 of a pair given as wire bytes, 0 when no series has it. Safe for readers. */
export function findPair(address: usize, bytes: u32): u32 {
  const hash = hash32(address, bytes);
  const table = changetype<Table>(TABLE_PAIRS);
  for (let found = probe(table, hash, 0); u32(found) != 0; found = probe(table, hash, u32(found >> 32))) {
    const pair = pairOf(u32(found) - 1);
    if (pair.wireBytes == bytes && equalBytes(pair.address, address, bytes)) return u32(found);
  }
  return 0;
}

function internName(address: usize, bytes: u32): u32 {
  const found = findName(address, bytes);
  if (found != 0) return found - 1;
  const h = header();
  const id = h.nameNext;
  // hasRoomForSeries keeps a distance to it.
  if (id == NAMES_MAX) unreachable();
  const copy = allocateBlock(max<u32>(bytes, 1));
  memory.copy(copy, address, bytes);
  const name = nameOf(id);
  name.address = u32(copy);
  name.nameBytes = bytes;
  tableInsert(changetype<Table>(TABLE_NAMES), hash32(address, bytes), id);
  atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("nameNext"), id + 1);
  return id;
}

/** The id of the pair with these wire bytes, made if it is new. */
export function internPair(address: usize, bytes: u32): u32 {
  const found = findPair(address, bytes);
  if (found != 0) return found - 1;
  const h = header();
  const id = h.pairNext;
  addPairPage(id);
  const pair = pairOf(id);
  const copy = allocateBlock(bytes);
  memory.copy(copy, address, bytes);
  pair.address = u32(copy);
  pair.wireBytes = bytes;
  const nameAddress = wireName(copy);
  pair.nameId = internName(nameAddress, wireNameBytes(copy));
  const name = nameOf(pair.nameId);
  pair.nextOfName = name.firstPair;
  tableInsert(changetype<Table>(TABLE_PAIRS), hash32(address, bytes), id);
  name.pairCount++;
  atomic.store<u32>(changetype<usize>(name) + offsetof<Name>("firstPair"), id + 1);
  atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("pairNext"), id + 1);
  return id;
}

/** Address of the name in a pair's wire bytes, and its length. */
@inline
export function wireName(pair: usize): usize {
  return pair + 1 + varintBytes(pair + 1);
}
@inline
export function wireNameBytes(pair: usize): u32 {
  return varint(pair + 1);
}
/** Address of the value in a pair's wire bytes. */
@inline
export function wireValue(pair: usize): usize {
  const tag = wireName(pair) + wireNameBytes(pair);
  return tag + 1 + varintBytes(tag + 1);
}

/** Lengths in canonical bytes are minimal varints of at most three bytes: limits keep them below 2 MiB. */
@inline
function varint(at: usize): u32 {
  const first = u32(load<u8>(at));
  if (first < 128) return first;
  const second = u32(load<u8>(at, 1));
  if (second < 128) return (first & 127) | (second << 7);
  return (first & 127) | ((second & 127) << 7) | (u32(load<u8>(at, 2)) << 14);
}
@inline
function varintBytes(at: usize): u32 {
  return load<u8>(at) < 128 ? 1 : load<u8>(at, 1) < 128 ? 2 : 3;
}
@inline
function lengthBytes(value: u32): u32 {
  return value < 1 << 7 ? 1 : value < 1 << 14 ? 2 : 3;
}
@inline
function putVarint(at: usize, value: u32): usize {
  while (value > 127) {
    store<u8>(at++, u8(value) | 128);
    value >>= 7;
  }
  store<u8>(at++, u8(value));
  return at;
}

/** Walks canonical label bytes: calls itself `count` for a reason, the number of pairs; their ids go to `ids`. */
export function internPairs(canonical: usize, bytes: u32, ids: usize): u32 {
  const end = canonical + bytes;
  let count: u32 = 0;
  for (let at = canonical; at < end; ) {
    const length = varint(at + 1);
    at += 1 + varintBytes(at + 1);
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
function compareNames(a: LabelSpan, b: LabelSpan): i32 {
  const bytes = min(a.nameBytes, b.nameBytes);
  const order = memory.compare(a.name, b.name, bytes);
  return order != 0 ? order : i32(a.nameBytes) - i32(b.nameBytes);
}

/**
 * Sorts and checks labels (in place, `spans` of LabelSpan) and writes their canonical bytes to `out`. A label with an
 * empty value counts as absent, as everywhere in Prometheus.
 * @returns the byte length, or a REJECT_ reason as its negative
 */
export function canonicalize(spans: usize, count: u32, out: usize): i32 {
  const h = header();
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const label = changetype<LabelSpan>(spans + usize(i) * offsetof<LabelSpan>());
    if (label.nameBytes == 0) return -i32(REJECT_LABELS_INVALID);
    if (label.valueBytes == 0) continue;
    if (label.nameBytes > h.labelNameBytesMax) return -i32(REJECT_LABEL_NAME_LENGTH);
    if (label.valueBytes > h.labelValueBytesMax) return -i32(REJECT_LABEL_VALUE_LENGTH);
    if (!isValidUtf8(label.name, label.nameBytes) || !isValidUtf8(label.value, label.valueBytes)) {
      return -i32(REJECT_LABELS_INVALID);
    }
    // Insertion sort: labels nearly always arrive sorted, and there are a few dozen at most.
    const name = label.name;
    const nameBytes = label.nameBytes;
    const value = label.value;
    const valueBytes = label.valueBytes;
    const moving = changetype<LabelSpan>(spans + usize(count) * offsetof<LabelSpan>());
    moving.name = name;
    moving.nameBytes = nameBytes;
    let at = kept;
    while (at > 0) {
      const before = changetype<LabelSpan>(spans + usize(at - 1) * offsetof<LabelSpan>());
      const order = compareNames(before, moving);
      if (order == 0) return -i32(REJECT_LABELS_INVALID);
      if (order < 0) break;
      memory.copy(
        changetype<usize>(before) + offsetof<LabelSpan>(),
        changetype<usize>(before),
        offsetof<LabelSpan>(),
      );
      at--;
    }
    const place = changetype<LabelSpan>(spans + usize(at) * offsetof<LabelSpan>());
    place.name = name;
    place.nameBytes = nameBytes;
    place.value = value;
    place.valueBytes = valueBytes;
    kept++;
  }
  if (kept > h.labelsPerSeriesMax) return -i32(REJECT_LABEL_COUNT);
  let to = out;
  let hasMetricName = false;
  for (let i: u32 = 0; i < kept; i++) {
    const label = changetype<LabelSpan>(spans + usize(i) * offsetof<LabelSpan>());
    if (label.nameBytes == 8 && load<u64>(label.name) == METRIC_NAME) hasMetricName = true;
    const wireBytes =
      2 + lengthBytes(label.nameBytes) + label.nameBytes + lengthBytes(label.valueBytes) + label.valueBytes;
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
