/**
 * Views: what a query found (series, pairs, pages, tables) stays as it was until the query ends. It pins a view when
 * it begins and may then hold refs, pair ids and addresses for as long as it likes; what the writer unlinks meanwhile
 * waits here, untouched, in the order in which it was unlinked.
 *
 *   reader   pinView: slot = view epoch, and once more if that moved on meanwhile ... unpinView: slot = 0
 *   writer   unlink, then retire(...) with the present view epoch; later: epoch + 1, and whatever was retired before
 *            the oldest pinned epoch is freed
 *
 * A reader whose slot has an epoch behind that of an entry loaded it after the entry was unlinked, so it cannot come
 * across it; a slot that the writer sees empty will get the new epoch, since pinView looks again after it has stored.
 * The short pins of heap.ts are apart: cells are recycled within moments, and many times in the life of a view.
 */
import {
  BLOCK_BYTES_MAX,
  Header,
  header,
  READER_BYTES,
  READER_SLOTS,
  READER_VIEW,
  READERS,
  VIEW_LIMBO_BYTES,
} from "./layout";
import { allocateBlock, freeBlock, freeExtent, extentBytes, HAS_CANARIES, heapBytesForBlocks } from "./blocks";
import { freePair, freePostingBlock } from "./postings";

/** What the writer has unlinked and a view may still see. */
@unmanaged
class ViewLimboEntry {
  kind: u32;
  at: u32;
  bytes: u32;
  /** Header.viewEpoch when it was unlinked. */
  epoch: u32;
  /** Bytes of an extent that are zero again. */
  done: u32;
}

/** What an entry of the queue stands for, and what its `at` and `bytes` are. */
const RETIRED_BLOCK: u32 = 1; // address, bytes
export const RETIRED_EXTENT: u32 = 2; // address, bytes
/** A chain of posting blocks. */
export const RETIRED_CHAIN: u32 = 3; // address of the first, -
/** A page without series: once no view has a ref of it, its directory entry goes, and then it is an extent. */
export const RETIRED_PAGE: u32 = 4; // index, bytes
/** A pair that nothing leads to. */
export const RETIRED_PAIR: u32 = 5; // id, -

/** Entries in one block of the queue, behind the link to the next. */
const ENTRIES_PER_BLOCK: u32 = (VIEW_LIMBO_BYTES - 8) / u32(offsetof<ViewLimboEntry>());

@inline
function entryAt(block: usize, i: u32): ViewLimboEntry {
  return changetype<ViewLimboEntry>(block + 8 + usize(i) * offsetof<ViewLimboEntry>());
}

/** Memory that noting `entries` more can take. */
export function heapBytesToRetire(entries: u32): u64 {
  return heapBytesForBlocks(u64(entries + ENTRIES_PER_BLOCK) * offsetof<ViewLimboEntry>(), 1);
}

/** Hands to the queue what nothing that is published leads to any more. */
export function retire(kind: u32, at: u32, bytes: u32): void {
  const h = header();
  const inBlock = (h.viewLimboFront + h.viewLimboCount) % ENTRIES_PER_BLOCK;
  if (inBlock == 0) {
    const block = allocateBlock(VIEW_LIMBO_BYTES);
    store<u32>(block, 0);
    if (h.viewLimboFirst == 0) h.viewLimboFirst = u32(block);
    else store<u32>(h.viewLimboLast, u32(block));
    h.viewLimboLast = u32(block);
  }
  const entry = entryAt(h.viewLimboLast, inBlock);
  entry.kind = kind;
  entry.at = at;
  entry.bytes = bytes;
  entry.done = 0;
  entry.epoch = h.viewEpoch;
  h.viewLimboCount++;
  h.viewRetired = h.viewEpoch;
}

/** Hands over a block or, when it is larger than blocks are, an extent. */
export function retireBlock(address: u32, bytes: u32): void {
  retire(bytes > BLOCK_BYTES_MAX ? RETIRED_EXTENT : RETIRED_BLOCK, address, bytes);
}

/** The oldest epoch that a reader has pinned; the present one when none has. */
function oldestView(): u32 {
  const h = header();
  if (HAS_CANARIES && h.ignoreViews != 0) return u32.MAX_VALUE;
  let oldest = h.viewEpoch;
  for (let slot: u32 = 0; slot < READER_SLOTS; slot++) {
    const pinned = atomic.load<u32>(READERS + slot * READER_BYTES + READER_VIEW);
    if (pinned != 0) oldest = min(oldest, pinned);
  }
  return oldest;
}

/** Extents are made zero in such pieces, each some microseconds long: as much as so many blocks. */
const ZEROED_BYTES: u32 = 65536;
const ZEROED_WORK: u32 = 32;

/**
 * Frees what no view can see any more.
 * @param work blocks at most, or what takes as long
 * @returns whether to call again: something was freed and something is left
 */
export function freeUnseen(work: u32): bool {
  const h = header();
  if (h.viewLimboCount == 0) return false;
  // Views from now on do not see what was retired until now. Not more often: 32 bits are enough for centuries.
  if (h.viewRetired == h.viewEpoch) {
    atomic.store<u32>(changetype<usize>(h) + offsetof<Header>("viewEpoch"), h.viewEpoch + 1);
  }
  const oldest = oldestView();
  let done: u32 = 0;
  while (h.viewLimboCount != 0) {
    const block = usize(h.viewLimboFirst);
    const entry = entryAt(block, h.viewLimboFront);
    if (entry.epoch >= oldest) return done != 0;
    if (done >= work) return true;
    done += entry.kind == RETIRED_EXTENT ? ZEROED_WORK : 1;
    if (!freeSome(entry)) continue;
    h.viewLimboCount--;
    h.viewLimboFront++;
    if (h.viewLimboFront != ENTRIES_PER_BLOCK) continue;
    h.viewLimboFront = 0;
    h.viewLimboFirst = load<u32>(block);
    // No reader ever saw it.
    freeBlock(block, VIEW_LIMBO_BYTES);
  }
  return false;
}

/** @returns whether all of the entry is free */
function freeSome(entry: ViewLimboEntry): bool {
  const kind = entry.kind;
  if (kind == RETIRED_BLOCK) freeBlock(entry.at, entry.bytes);
  else if (kind == RETIRED_PAIR) freePair(entry.at);
  else if (kind == RETIRED_CHAIN) {
    if (entry.at != 0) entry.at = freePostingBlock(entry.at);
    return entry.at == 0;
  } else if (kind == RETIRED_EXTENT) {
    const whole = extentBytes(entry.bytes);
    const bytes = min(ZEROED_BYTES, whole - entry.done);
    memory.fill(entry.at + entry.done, 0, bytes);
    entry.done += bytes;
    if (entry.done < whole) return false;
    freeExtent(entry.at, entry.bytes);
  } else {
    const slot = usize(header().seriesDirectory) + (usize(entry.at) << 2);
    const page = load<u32>(slot);
    atomic.store<u32>(slot, 0);
    retire(RETIRED_EXTENT, page, entry.bytes);
  }
  return true;
}

/** A reader says that until `unpinView` it holds on to what it finds. */
export function pinView(slot: u32): void {
  const epoch = changetype<usize>(header()) + offsetof<Header>("viewEpoch");
  pinEpoch(READERS + slot * READER_BYTES + READER_VIEW, epoch);
}

/** Stores a reader's pin of the epoch, of views or of cells, that stands at an address. */
export function pinEpoch(pinAddress: usize, epochAddress: usize): void {
  let epoch = atomic.load<u32>(epochAddress);
  while (true) {
    atomic.store<u32>(pinAddress, epoch);
    // The writer may have gone on between the load and the store without seeing the pin: pin what is true now.
    const now = atomic.load<u32>(epochAddress);
    if (now == epoch) return;
    epoch = now;
  }
}

export function unpinView(slot: u32): void {
  atomic.store<u32>(READERS + slot * READER_BYTES + READER_VIEW, 0);
}
