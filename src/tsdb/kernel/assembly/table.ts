/**
 * Open-addressing tables from a 32-bit hash to an id (layout.ts, Table). The caller compares what the ids stand for: it
 * walks candidates with `probe`, and inserts after the last one. Growing copies MOVE_SLOTS slots with each insertion, so
 * no request ever waits for a whole table; slots are never cleared or removed, so readers need no lock.
 */
import { Table } from "./layout";
import { allocateExtent } from "./heap";

/** Copied per insertion: the old table is done well before the new one, twice its size, is three quarters full. */
const MOVE_SLOTS: u32 = 64;

export function tableCreate(table: Table, slotsLog2: u32): void {
  const slots: u32 = 1 << slotsLog2;
  const address = allocateExtent(slots << 3);
  table.current = u64(address) | (u64(slots - 1) << 32);
  table.old = 0;
  table.moved = 0;
  table.count = 0;
}

/**
 * Looks through candidates with this hash. Start with cursor 0; the result's low half is id + 1, or 0 when there is none
 * (left); its high half is the cursor for the next call. Bit 31 of a cursor says that the old table is being searched.
 */
export function probe(table: Table, hash: u32, cursor: u32): u64 {
  if (cursor >> 31 == 0) {
    const root = atomic.load<u64>(changetype<usize>(table) + offsetof<Table>("current"));
    const found = probeIn(root, hash, cursor);
    if (u32(found) != 0) return found;
    cursor = 0x8000_0000;
  }
  const old = atomic.load<u64>(changetype<usize>(table) + offsetof<Table>("old"));
  if (old == 0) return 0;
  const found = probeIn(old, hash, cursor & 0x7fff_ffff);
  return u32(found) == 0 ? 0 : found | 0x8000_0000_0000_0000;
}

@inline
function probeIn(root: u64, hash: u32, skip: u32): u64 {
  const address = usize(u32(root));
  const mask = u32(root >> 32);
  let at = (hash + skip) & mask;
  while (true) {
    const slot = atomic.load<u64>(address + (usize(at) << 3));
    if (slot == 0) return 0;
    skip++;
    if (u32(slot >> 32) == hash) return u64(u32(slot)) | (u64(skip) << 32);
    at = (at + 1) & mask;
  }
}

/** Adds id under hash. The caller knows that it is not there. */
export function tableInsert(table: Table, hash: u32, id: u32): void {
  if (table.old != 0) moveSome(table);
  const mask = u32(table.current >> 32);
  if (table.old == 0 && u64(table.count + 1) * 4 > (u64(mask) + 1) * 3) {
    const slots = (mask + 1) << 1;
    const address = allocateExtent(slots << 3);
    table.moved = 0;
    // Readers load current first: they must find the old table from the moment the new one shows.
    atomic.store<u64>(changetype<usize>(table) + offsetof<Table>("old"), table.current);
    atomic.store<u64>(changetype<usize>(table) + offsetof<Table>("current"), u64(address) | (u64(slots - 1) << 32));
  }
  put(table.current, (u64(hash) << 32) | u64(id + 1));
  table.count++;
}

function moveSome(table: Table): void {
  const address = usize(u32(table.old));
  const slots = u32(table.old >> 32) + 1;
  const end = min<u32>(slots, table.moved + MOVE_SLOTS);
  for (let at = table.moved; at < end; at++) {
    const slot = load<u64>(address + (usize(at) << 3));
    if (slot != 0) put(table.current, slot);
  }
  table.moved = end;
  if (end == slots) atomic.store<u64>(changetype<usize>(table) + offsetof<Table>("old"), 0);
}

@inline
function put(root: u64, slot: u64): void {
  const address = usize(u32(root));
  const mask = u32(root >> 32);
  let at = u32(slot >> 32) & mask;
  while (load<u64>(address + (usize(at) << 3)) != 0) at = (at + 1) & mask;
  atomic.store<u64>(address + (usize(at) << 3), slot);
}
