/**
 * The world that the race is about, known to both sides: series whose samples say themselves what they must be. A value is
 * a function of series and time, times follow each other by one step, and labels repeat themselves, so a reader can tell
 * anything that is not as it was written.
 */
import type { HeadAttachment } from "../../../src/tsdb/head/head-storage.ts";

export const START_MS = Date.UTC(2026, 0, 1);
export const STEP_MS = 1000;

/** Series that get samples all the time, in groups that are queried together. */
export const SERIES_COUNT = 400;
export const GROUP_COUNT = 8;
/** Samples of each of them in one request. */
export const SAMPLES_PER_REQUEST = 10;

/** Series that come, stay as they are, and are collected once their samples are dropped: in blocks, half of each odd. */
export const BLOCK_SERIES = 40;
export const BLOCKS_MAX = 6000;
/** Requests between two blocks. */
export const REQUESTS_PER_BLOCK = 2;
/** The first of the samples that a block's series have: when they are dropped is known, too. */
export const firstSampleOf = (block: number): number => (block + 1) * REQUESTS_PER_BLOCK * SAMPLES_PER_REQUEST;
/** The block whose samples begin at `sample` or behind it. */
export const blockAt = (sample: number): number =>
  Math.max(0, Math.ceil(sample / (REQUESTS_PER_BLOCK * SAMPLES_PER_REQUEST)) - 1);

/** Series whose samples come in this order within each request, so that some of them are late, and of which some go again. */
export const LATE_SERIES = 20;
export const LATE_ORDER: readonly number[] = [0, 2, 4, 6, 8, 9, 1, 7, 3, 5];
/**
 * How many requests later what a request has brought is deleted of all of them: soon, when it still lies in open chunks, or
 * when it has long been in files. Undefined: never.
 */
export const deleteLagOf = (request: number): number | undefined => DELETE_LAGS[request % DELETE_LAGS.length];
const DELETE_LAGS = [undefined, 1, undefined, undefined, 60, undefined, 3];
export const DELETE_LAG_MAX = 60;

/** What the writer tells its readers, in shared memory: words of an Int32Array. */
export const PROGRESS = {
  /** Samples of every series that were stored before this was set. */
  samples: 0,
  /** Samples that were dropped at most, set before they are. */
  dropped: 1,
  /** Blocks that are complete. */
  blocks: 2,
  /** Requests of late series that are stored, and what was to be deleted with each of them is. */
  late: 3,
} as const;
export const PROGRESS_WORDS = 4;

/** What a reader is started with. */
export interface ReaderData {
  readonly attachment: HeadAttachment;
  readonly progress: Int32Array;
  readonly seed: number;
  readonly readsLate: boolean;
  /** What it has seen, in counts that outlive it. */
  readonly counts: Int32Array;
}
export const COUNTS = { reads: 0, series: 1, torn: 2 } as const;

export const timeOf = (sample: number): number => START_MS + sample * STEP_MS;

/** The two halves of a value between 1 and 2 whose 52 bits follow from series and sample: chunks of them are long. */
export const valueHigh = (series: number, sample: number): number => 0x3ff0_0000 | (mix(series, sample) & 0xf_ffff);
export const valueLow = (series: number, sample: number): number => mix(~series, sample);

function mix(a: number, b: number): number {
  let mixed = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b, 0xc2b2_ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** A label that follows from another one. */
export const echoOf = (text: string): string => `${text}-${(Math.imul(Number(text), 0x9e37_79b9) >>> 0).toString(36)}`;
