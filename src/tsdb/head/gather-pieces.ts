/**
 * A series with more late samples, or more chunks, than can be gathered at once: its range of time is halved until each
 * piece fits. The ref stands at the front of the slot's list, and the slot is pinned.
 */
import { TsdbError } from "../../base/errors.ts";
import type { HeadMemory } from "../kernel/head-memory.ts";

export interface GatherRange {
  readonly mint: number;
  readonly maxt: number;
  readonly floorMs: number;
  readonly sequence: number;
}

/**
 * @param take called after each piece, oldest first, with its beginning: chunks that begin before it were in the piece
 * before
 */
export function gatherInPieces(
  memory: HeadMemory,
  slot: number,
  { mint, maxt, floorMs, sequence }: GatherRange,
  take: (pieceMint: number, recordCount: number) => void,
): void {
  const gathered = memory.kernel.gather(slot, 0, 1, mint, maxt, floorMs, sequence);
  if (gathered >> 32n === 1n) return take(mint, Number(gathered & 0xffff_ffffn));
  const first = Math.max(mint, memory.i64(memory.at.H_MIN_TIME_MS));
  const last = Math.min(maxt, memory.i64(memory.at.H_MAX_TIME_MS));
  if (!(first < last)) {
    throw new TsdbError("QUERY_LIMIT", "One series has more chunks in the range than a query may hold");
  }
  const middle = Math.floor((first + last) / 2);
  gatherInPieces(memory, slot, { mint, maxt: middle, floorMs, sequence }, take);
  gatherInPieces(memory, slot, { mint: middle + 1, maxt, floorMs, sequence }, take);
}
