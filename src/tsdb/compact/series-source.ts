/**
 * Where merging reads from: the series of a block or of the head, one after the other in the order of their label sets.
 * Labels are numbers of the source's own symbols, which are in byte order, so that they compare as their texts do.
 */
import type { Symbols } from "../index/symbol-table.ts";
import type { Arena } from "./arena.ts";
import type { ChunkList } from "./chunk-list.ts";

export interface SeriesSource {
  /** For messages: which block, or the head. */
  readonly name: string;
  readonly symbols: Symbols;
  /** How many series it has, or a little more. */
  readonly seriesCount: number;
  /** Of the present series: name, value, name, value, ... */
  readonly labels: Uint32Array;
  readonly labelCount: number;
  /** Goes on to the first, then to the next series. @returns false when there is none */
  next(): boolean;
  /** Reads all chunks of the present series that may have samples, and what is deleted of them. */
  read(into: ChunkList, arena: Arena): void;
  close(): void;
}
