/**
 * Open-addressing tables from a 32-bit hash to an id (layout.ts, Table). A slot that an id took keeps it, or becomes
 * REMOVED and may then be taken by another, so a reader needs no lock: it loads the root once and walks from the hash's
 * slot to the first empty one. What it looks for stands where it stood.
 *
 *   for (let at = hash, slot = tableSlot(root, at); slot != 0; slot = tableSlot(root, ++at))
 *     if (isSlotOf(slot, hash) && ... what slotId(slot) stands for is what is looked for ...)
 *
 * A table is written anew, larger or without what was removed, without a stall: the new one is filled by a few slots
 * with each insertion. Until it holds everything it is the writer's alone, and the present one gets every new id too;
 * then one store makes it the root, and the old one is freed when no view has it.
 */
import { REMOVED, Table } from "./layout";
import { allocateExtent } from "./blocks";
import { retire, RETIRED_EXTENT } from "./views";

/** Moved per insertion: the new table is complete long before the present one is full. */
const MOVE_SLOTS: u32 = 64;
/** Tables do not shrink below this. */
const SLOTS_MIN: u32 = 4096;
/** A table shrinks to no less than this part of itself: the new one needs room for what comes while it is filled. */
const SHRINK_MAX: u32 = 16;

export function tableCreate(table: Table, slotsLog2: u32): void {
  table.root = makeRoot(1 << slotsLog2);
}

function makeRoot(slots: u32): u64 {
  return u64(allocateExtent(slots << 3)) | (u64(slots - 1) << 32);
}

@inline
export function tableRoot(table: Table): u64 {
  return atomic.load<u64>(changetype<usize>(table) + offsetof<Table>("root"));
}
@inline
function slotsOf(root: u64): u32 {
  return u32(root >> 32) + 1;
}
/** Address of the slot numbered `at`, modulo the table's size. */
@inline
function slotAddress(root: u64, at: u32): usize {
  return usize(u32(root)) + (usize(at & u32(root >> 32)) << 3);
}
/** 0 where the search ends. */
@inline
export function tableSlot(root: u64, at: u32): u64 {
  return atomic.load<u64>(slotAddress(root, at));
}
@inline
function slotHash(slot: u64): u32 {
  return u32(slot >> 32);
}
/** Whether an id was put here under `hash`. */
@inline
export function isSlotOf(slot: u64, hash: u32): bool {
  return slotHash(slot) == hash && slot != REMOVED;
}
@inline
export function slotId(slot: u64): u32 {
  return u32(slot) - 1;
}

/** Memory that inserting `ids` more may take. */
export function tableBytesToInsert(table: Table, ids: u32): u64 {
  const slots = slotsOf(table.root);
  return table.next == 0 && isCrowded(slots, table.count + ids) ? u64(slots) << 4 : 0;
}

@inline
function isCrowded(slots: u32, count: u32): bool {
  return u64(count) * 4 > u64(slots) * 3;
}

/** Adds id under hash. The caller knows that it is not there. */
export function tableInsert(table: Table, hash: u32, id: u32): void {
  if (table.next != 0) tableMove(table, MOVE_SLOTS);
  else if (isCrowded(slotsOf(table.root), table.count + 1)) {
    // Half of it removed: the same size will do.
    const slots = slotsOf(table.root);
    tableRenew(table, (table.count - table.removed) * 2 > slots ? slots << 1 : slots);
  }
  const slot = (u64(hash) << 32) | u64(id + 1);
  const root = table.root;
  const at = placeFor(root, hash);
  if (load<u64>(slotAddress(root, at)) == REMOVED) table.removed--;
  else table.count++;
  atomic.store<u64>(slotAddress(root, at), slot);
  // A slot that is still to be moved will take it along.
  if (table.next != 0 && (at & u32(root >> 32)) < table.moved) putNext(table, slot);
}

/** Takes the id out. @returns false when it is not there */
export function tableRemove(table: Table, hash: u32, id: u32): bool {
  const slot = (u64(hash) << 32) | u64(id + 1);
  if (!remove(table.root, slot)) return false;
  table.removed++;
  if (table.next != 0 && remove(table.next, slot)) table.nextRemoved++;
  return true;
}

function remove(root: u64, wanted: u64): bool {
  for (let at = slotHash(wanted); ; at++) {
    const address = slotAddress(root, at);
    const slot = load<u64>(address);
    if (slot == 0) return false;
    if (slot != wanted) continue;
    atomic.store<u64>(address, REMOVED);
    return true;
  }
}

/** How many slots the table should have instead of those it has; 0: it is as it should be. */
export function tableSlotsWanted(table: Table): u32 {
  const slots = slotsOf(table.root);
  const live = table.count - table.removed;
  if (table.next != 0 || slots <= SLOTS_MIN) return 0;
  if (table.removed * 4 < slots && live * 8 > slots) return 0;
  let wanted = slots;
  while (wanted > SLOTS_MIN && wanted > slots / SHRINK_MAX && live * 4 <= wanted) wanted >>= 1;
  return wanted == slots && table.removed * 4 < slots ? 0 : wanted;
}

/** Begins to write the table anew with so many slots, which there is memory for. */
export function tableRenew(table: Table, slots: u32): void {
  table.next = makeRoot(slots);
  table.moved = 0;
  table.nextCount = 0;
  table.nextRemoved = 0;
}

/** Goes on writing the table anew, `count` slots further. @returns whether it is done */
export function tableMove(table: Table, count: u32): bool {
  if (table.next == 0) return true;
  const old = table.root;
  const slots = slotsOf(old);
  const end = min<u32>(slots, table.moved + count);
  for (let at = table.moved; at < end; at++) {
    const slot = load<u64>(slotAddress(old, at));
    if (slot != 0 && slot != REMOVED) putNext(table, slot);
  }
  table.moved = end;
  if (end < slots) return false;
  atomic.store<u64>(changetype<usize>(table) + offsetof<Table>("root"), table.next);
  table.next = 0;
  table.count = table.nextCount;
  table.removed = table.nextRemoved;
  retire(RETIRED_EXTENT, u32(old), slots << 3);
  return true;
}

@inline
function putNext(table: Table, slot: u64): void {
  const address = slotAddress(table.next, placeFor(table.next, slotHash(slot)));
  if (load<u64>(address) == REMOVED) table.nextRemoved--;
  else table.nextCount++;
  atomic.store<u64>(address, slot);
}

/** The number, not yet reduced to the table's size, of the slot that an id under `hash` goes to. */
@inline
function placeFor(root: u64, hash: u32): u32 {
  let at = hash;
  let slot = load<u64>(slotAddress(root, at));
  while (slot != 0 && slot != REMOVED) slot = load<u64>(slotAddress(root, ++at));
  return at;
}
