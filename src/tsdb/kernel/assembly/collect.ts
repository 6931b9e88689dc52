/**
 * Collection: series that are gone give their memory back. A pass goes through these phases in slices, so that writes
 * go on in between:
 *
 *   series     those without samples leave the table of series; their refs stay unused for ever
 *   postings   pairs of such series: postings are written anew without them, or the pair itself is gone
 *   names      pairs that are gone leave the list of their name, and their ids will be used again
 *   tables     with many removed slots are written anew
 *   free       what no view can see is free again (views.ts); what one still can, requests free later
 *
 * Readers notice nothing: a series that is gone has hash 0 and is not selected, whether or not postings still have its
 * ref, and what an older view holds on to stays as it is. A page of 512 series is freed when all of them are gone.
 */
import {
  COLLECTION,
  COLLECTION_PAIR,
  FLAG_PAGE_RETIRED,
  FLAG_UNDECLARED,
  header,
  Name,
  Pair,
  PAIR_GONE,
  SERIES_PAGE_BITS,
  SERIES_PER_PAGE,
  SeriesCold,
  SeriesHot,
  Table,
  TABLE_PAIRS,
  TABLE_SERIES,
} from "./layout";
import { clearList, listDropped, listEntries } from "./chunk";
import { hash32 } from "./hash";
import { hasHeap, heapBytesForCells } from "./heap";
import { nameOf } from "./labels";
import { clearLate, hasLateRows } from "./late";
import {
  appendPosting,
  BLOCK_HEADER,
  heapBytesForPostings,
  loadPostings,
  pairOf,
  postingsCount,
  postingsFirst,
  publishPostings,
} from "./postings";
import { coldOf, hasPage, hotOf, isInUse, SERIES_PAGE_BYTES } from "./series";
import { tableMove, tableRemove, tableRenew, tableSlotsWanted } from "./table";
import {
  freeUnseen,
  heapBytesToRetire,
  retire,
  retireBlock,
  RETIRED_CHAIN,
  RETIRED_PAGE,
  RETIRED_PAIR,
} from "./views";

/** What collectSome answers. */
const COLLECT_DONE: i32 = 0;
const COLLECT_MORE: i32 = 1;
/** Rows of series that may be gone are not durable yet: after the next sync it goes on. */
const COLLECT_UNSYNCED: i32 = 2;

const IDLE: u32 = 0;
const SERIES: u32 = 1;
const POSTINGS: u32 = 2;
const NAMES: u32 = 3;
const TABLES: u32 = 4;
const FREE: u32 = 5;

/** What things cost, in postings that are written anew. */
const FORGET_WORK: u32 = 16;
const PAIR_WORK: u32 = 4;
const SLOTS_PER_WORK: u32 = 4;
/** Postings are written anew when at least this part of them is of no use. */
const GONE_PART: u32 = 8;

/** How far a collection has come. */
@unmanaged
class Collection {
  /** One of the above. */
  phase: u32;
  /** The ref, pair, name or table that is next, and where the phase ends. */
  at: u32;
  end: u32;
  /** Series in use among those of the present page that were looked at. */
  pageUsed: u32;
  /** Where in the postings of pair `at` it goes on, how many were read, the last of them; block 0: not begun. */
  block: u32;
  byte: u32;
  read: u32;
  ref: u32;
  /** In the list of name `at`: the pair in front as id + 1, 0 at its beginning. */
  before: u32;
}

@inline
function collection(): Collection {
  return changetype<Collection>(COLLECTION);
}

/** Begins a pass, unless one is under way. */
export function collectBegin(): void {
  const c = collection();
  if (c.phase == IDLE || (c.phase == SERIES && c.at == 0)) enter(SERIES, 0, header().seriesNext);
}

function enter(phase: u32, at: u32, end: u32): void {
  const c = collection();
  c.phase = phase;
  c.at = at;
  c.end = end;
  c.pageUsed = 0;
  c.block = 0;
  c.before = 0;
}

/**
 * Goes on with the pass.
 * @param work about how much, in tens of nanoseconds
 * @returns a COLLECT_ code
 */
export function collectSome(work: u32): i32 {
  const h = header();
  const c = collection();
  // What is let go of is noted down, and postings are copied before the old ones are freed.
  const entries = work / PAIR_WORK + 64;
  const cells = work / FORGET_WORK + 1;
  const postingBytes = heapBytesForPostings(2) + u64(work) * 8;
  const need = heapBytesToRetire(entries) + heapBytesForCells(cells) + postingBytes;
  if (!hasHeap(need)) {
    // What waits already will be free one day, and the next pass finds the rest.
    c.phase = IDLE;
    return COLLECT_DONE;
  }
  if (c.phase == SERIES) {
    if (h.walEnabled != 0 && h.walSynced < h.emptiedSequence) return COLLECT_UNSYNCED;
    if (forgetSome(work)) enter(POSTINGS, 0, h.pairNext);
  } else if (c.phase == POSTINGS) {
    if (sweepPostings(work)) enter(NAMES, 0, h.nameNext);
  } else if (c.phase == NAMES) {
    if (sweepNames(work)) enter(TABLES, 0, 2);
  } else if (c.phase == TABLES) {
    if (renewTables(work)) enter(FREE, 0, 0);
  } else if (c.phase == FREE) {
    if (!freeUnseen(work / PAIR_WORK)) enter(IDLE, 0, 0);
  }
  return c.phase == IDLE ? COLLECT_DONE : COLLECT_MORE;
}

/** Looks at series from `at` on. @returns whether all were */
function forgetSome(work: u32): bool {
  const c = collection();
  for (let done: u32 = 0; c.at < c.end; ) {
    if (done >= work) return false;
    const ref = c.at;
    if (!hasPage(ref)) {
      c.at = (ref | (SERIES_PER_PAGE - 1)) + 1;
      done++;
      continue;
    }
    const hot = hotOf(ref);
    done++;
    if ((hot.hashLow | hot.hashHigh) != 0) {
      const cold = coldOf(ref);
      if (isEmpty(hot, cold)) {
        done += FORGET_WORK + u32(cold.pairCount) * PAIR_WORK;
        forgetSeries(ref);
      } else c.pageUsed++;
    } else if ((hot.flags & FLAG_UNDECLARED) != 0) {
      // Only a chunk file named it; no record of the log will any more.
      if (isEmpty(hot, coldOf(ref))) hot.flags &= ~FLAG_UNDECLARED;
      else c.pageUsed++;
    }
    c.at = ref + 1;
    if ((c.at & (SERIES_PER_PAGE - 1)) != 0) continue;
    if (c.pageUsed == 0) retirePage(ref >> SERIES_PAGE_BITS);
    c.pageUsed = 0;
  }
  return true;
}

/** Whether a series has nothing left that a query or a flush could want. */
@inline
function isEmpty(hot: SeriesHot, cold: SeriesCold): bool {
  return hot.open == 0 && listEntries(cold.list) == listDropped(cold.list) && !hasLateRows(cold);
}

/** Takes a series without samples out of everything; its page stays. */
export function forgetSeries(ref: u32): void {
  const h = header();
  const hot = hotOf(ref);
  const cold = coldOf(ref);
  tableRemove(changetype<Table>(TABLE_SERIES), u32(hot.hashLow), ref);
  hot.hashLow = 0;
  hot.hashHigh = 0;
  hot.walSegment = 0;
  hot.flags = 0;
  clearList(cold);
  clearLate(cold);
  for (let i: u32 = 0; i < u32(cold.pairCount); i++) pairOf(load<u32>(usize(cold.pairs) + (usize(i) << 2))).gone++;
  // Views that have the ref still read them; nobody else does.
  retireBlock(cold.pairs, u32(cold.pairCount) << 2);
  h.seriesCount--;
  h.seriesCollected++;
}

function retirePage(page: u32): void {
  const first = hotOf(page << SERIES_PAGE_BITS);
  if ((first.flags & FLAG_PAGE_RETIRED) != 0) return;
  first.flags |= FLAG_PAGE_RETIRED;
  retire(RETIRED_PAGE, page, SERIES_PAGE_BYTES);
}

/** Looks at the postings of pairs from `at` on. @returns whether all were */
function sweepPostings(work: u32): bool {
  const c = collection();
  let done: u32 = 0;
  for (; c.at < c.end; c.at++) {
    if (done >= work) return false;
    done++;
    const pair = pairOf(c.at);
    if (pair.gone == 0 || pair.gone == PAIR_GONE) continue;
    const word = loadPostings(pair);
    const count = postingsCount(word);
    if (pair.gone == count) {
      retire(RETIRED_CHAIN, u32(postingsFirst(word)), 0);
      endPair(c.at, pair);
      done += FORGET_WORK;
      continue;
    }
    if (c.block == 0) {
      if (pair.gone < count / GONE_PART) continue;
      beginRewrite(postingsFirst(word));
    }
    done += rewriteSome(pair, work - min(done, work));
    if (c.read != postingsCount(pair.postings)) return false;
    endRewrite(pair);
  }
  return true;
}

function beginRewrite(first: usize): void {
  const c = collection();
  c.block = u32(first);
  c.byte = u32(first) + BLOCK_HEADER;
  c.read = 0;
  c.ref = 0;
  memory.fill(COLLECTION_PAIR, 0, offsetof<Pair>());
}

/** Copies postings of series that are in use, those that came meanwhile too. @returns how many it looked at */
function rewriteSome(pair: Pair, work: u32): u32 {
  const c = collection();
  const fresh = changetype<Pair>(COLLECTION_PAIR);
  const todo = min(work, postingsCount(pair.postings) - c.read);
  let block = usize(c.block);
  let at = usize(c.byte);
  let ref = c.ref;
  for (let i: u32 = 0; i < todo; i++) {
    if (at == block + BLOCK_HEADER + load<u16>(block, 4)) {
      block = load<u32>(block);
      at = block + BLOCK_HEADER;
    }
    let byte = u32(load<u8>(at++));
    let delta = byte & 127;
    for (let shift: u32 = 7; byte > 127; shift += 7) {
      byte = load<u8>(at++);
      delta |= (byte & 127) << shift;
    }
    ref += delta;
    if (isInUse(ref)) appendPosting(fresh, ref);
  }
  c.block = u32(block);
  c.byte = u32(at);
  c.ref = ref;
  c.read += todo;
  return todo;
}

function endRewrite(pair: Pair): void {
  const fresh = changetype<Pair>(COLLECTION_PAIR);
  const old = postingsFirst(pair.postings);
  pair.lastBlock = fresh.lastBlock;
  pair.lastRef = fresh.lastRef;
  pair.gone = 0;
  publishPostings(pair, postingsFirst(fresh.postings), postingsCount(fresh.postings));
  retire(RETIRED_CHAIN, u32(old), 0);
  collection().block = 0;
}

/** No series has the pair: from here on it is not found, and whoever brings it again makes another one. */
function endPair(id: u32, pair: Pair): void {
  const h = header();
  publishPostings(pair, 0, 0);
  pair.gone = PAIR_GONE;
  tableRemove(changetype<Table>(TABLE_PAIRS), hash32(pair.address, pair.wireBytes, h.scratch), id);
  const name = nameOf(pair.nameId);
  name.pairCount--;
  name.goneCount++;
  h.pairsGone++;
}

/** Takes pairs that are gone out of the lists of names from `at` on. @returns whether all are */
function sweepNames(work: u32): bool {
  const c = collection();
  let done: u32 = 0;
  for (; c.at < c.end; c.at++, c.before = 0) {
    const name = nameOf(c.at);
    if (done++ >= work) return false;
    for (; name.goneCount != 0; done += PAIR_WORK) {
      if (done >= work) return false;
      sweepName(name);
    }
  }
  return true;
}

/**
 * Looks at the pair behind `before`. At the beginning of the list that is its newest; pairs that came meanwhile are not
 * gone.
 */
@inline
function sweepName(name: Name): void {
  const c = collection();
  const at = c.before == 0 ? name.firstPair : pairOf(c.before - 1).nextOfName;
  const pair = pairOf(at - 1);
  if (pair.gone != PAIR_GONE) {
    c.before = at;
    return;
  }
  // A reader that has come to it goes on from it: its link stays as it is.
  const link =
    c.before == 0
      ? changetype<usize>(name) + offsetof<Name>("firstPair")
      : changetype<usize>(pairOf(c.before - 1)) + offsetof<Pair>("nextOfName");
  atomic.store<u32>(link, pair.nextOfName);
  name.goneCount--;
  retireBlock(pair.address, pair.wireBytes);
  retire(RETIRED_PAIR, at - 1, 0);
}

/** Writes the tables anew that need it. @returns whether it is done */
function renewTables(work: u32): bool {
  const c = collection();
  for (; c.at < c.end; c.at++) {
    const table = changetype<Table>(c.at == 0 ? TABLE_SERIES : TABLE_PAIRS);
    if (table.next == 0) {
      const slots = tableSlotsWanted(table);
      if (slots == 0 || !hasHeap(0, u64(slots) << 3)) continue;
      tableRenew(table, slots);
    }
    if (!tableMove(table, work * SLOTS_PER_WORK)) return false;
  }
  return true;
}
