/**
 * Open-addressing tables from a 32-bit hash to an id (layout.ts, Table). Slots are never cleared or changed once they
 * are filled, so a reader needs no lock: it loads the root once and walks from the hash's slot to the first empty one.
 *
 *   for (let at = tableFirst(root, hash), slot = tableSlot(root, at); slot != 0; at++, slot = tableSlot(root, at))
 *     if (slotHash(slot) == hash && ... what slotId(slot) stands for is what is looked for ...)
 *
 * A table grows without a stall: the larger one is filled by a few slots with each insertion. Until it holds everything
 * it is the writer's alone, and the present one gets every new id too; then one store makes it the root.
 */
import { Table } from "./layout";
import { allocateExtent } from "./heap";

/** Moved per insertion: the larger table is complete long before the present one is full. */
const MOVE_SLOTS: u32 = 64;

export function tableCreate(table: Table, slotsLog2: u32): void {
  table.root = makeRoot(1 << slotsLog2);
  table.next = 0;
  table.moved = 0;
  table.count = 0;
}

function makeRoot(slots: u32): u64 {
  return u64(allocateExtent(slots << 3)) | (u64(slots - 1) << 32);
}

@inline
export function tableRoot(table: Table): u64 {
  return atomic.load<u64>(changetype<usize>(table) + offsetof<Table>("root"));
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
export function slotHash(slot: u64): u32 {
  return u32(slot >> 32);
}
@inline
export function slotId(slot: u64): u32 {
  return u32(slot) - 1;
}

/** Memory that inserting `ids` more may take. */
export function tableBytesToInsert(table: Table, ids: u32): u64 {
  const slots = u64(table.root >> 32) + 1;
  return table.next == 0 && isCrowded(slots, table.count + ids) ? slots << 4 : 0;
}

@inline
function isCrowded(slots: u64, count: u32): bool {
  return u64(count) * 4 > slots * 3;
}

/** Adds id under hash. The caller knows that it is not there. */
export function tableInsert(table: Table, hash: u32, id: u32): void {
  const slots = (table.root >> 32) + 1;
  if (table.next != 0) moveSome(table);
  else if (isCrowded(slots, table.count + 1)) {
    table.next = makeRoot(u32(slots) << 1);
    table.moved = 0;
  }
  const slot = (u64(hash) << 32) | u64(id + 1);
  const at = put(table.root, slot);
  // A slot that is still to be moved will take it along.
  if (table.next != 0 && at < table.moved) put(table.next, slot);
  table.count++;
}

function moveSome(table: Table): void {
  const slots = u32(table.root >> 32) + 1;
  const end = min<u32>(slots, table.moved + MOVE_SLOTS);
  for (let at = table.moved; at < end; at++) {
    const slot = load<u64>(slotAddress(table.root, at));
    if (slot != 0) put(table.next, slot);
  }
  table.moved = end;
  if (end < slots) return;
  atomic.store<u64>(changetype<usize>(table) + offsetof<Table>("root"), table.next);
  table.next = 0;
}

/** @returns the number of the slot that took it */
@inline
function put(root: u64, slot: u64): u32 {
  let at = slotHash(slot);
  while (load<u64>(slotAddress(root, at)) != 0) at++;
  atomic.store<u64>(slotAddress(root, at), slot);
  return at & u32(root >> 32);
}
