/**
 * Chunks that go on as they are because nothing here can decode them: native histograms of blocks that Prometheus wrote. A
 * chunk is taken whole or not at all: of two that overlap that of the earlier source, and samples of later sources give way.
 */
import { isOpaque } from "../block/sample-sum.ts";
import type { ChunkList } from "./chunk-list.ts";

export interface OpaqueOutcome {
  /** Chunks that overlap an earlier source's samples. */
  readonly leftOutCount: number;
  /** What is deleted of chunks that stay whole: mint, maxt, ... It has to stay marked as deleted. */
  readonly stillDeleted: readonly number[];
}

/** Takes chunks of a series that give way out of the lists, and marks samples that do as deleted. */
export function settleOpaque(sources: readonly ChunkList[]): OpaqueOutcome {
  let leftOutCount = 0;
  for (const [list, source] of sources.entries())
    for (let i = source.count - 1; i >= 0; i--) {
      if (!isOpaque(source.encoding[i]!) || source.deletionOf(i) === "all") continue;
      const [mint, maxt] = [source.mint[i]!, source.maxt[i]!];
      if (!sources.slice(0, list).some((earlier) => hasAny(earlier, mint, maxt))) continue;
      source.remove(i);
      leftOutCount++;
    }

  const stillDeleted: number[] = [];
  for (const [list, source] of sources.entries())
    for (let i = 0; i < source.count; i++) {
      if (!isOpaque(source.encoding[i]!) || source.deletionOf(i) === "all") continue;
      const [mint, maxt] = [source.mint[i]!, source.maxt[i]!];
      for (let at = 0; at < source.deleted.length; at += 2) {
        const [from, to] = [Math.max(mint, source.deleted[at]!), Math.min(maxt, source.deleted[at + 1]!)];
        if (from <= to) stillDeleted.push(from, to);
      }
      for (const later of sources.slice(list + 1)) later.deleted.push(mint, maxt);
    }
  return { leftOutCount, stillDeleted };
}

function hasAny(source: ChunkList, mint: number, maxt: number): boolean {
  for (let i = 0; i < source.count; i++)
    if (source.mint[i]! <= maxt && source.maxt[i]! >= mint && source.deletionOf(i) !== "all") return true;
  return false;
}
