/**
 * What a head must do with write requests, on Maps and arrays: labels, limits, order of samples, where chunks end. Written
 * from the rules (storage.ts, docs/reference/http-api.md), without a look at how the kernel does it.
 */
import type { RejectReason } from "../../src/tsdb/storage.ts";
import { type ByteLabel, parseWriteRequest, type TwinSample } from "./remote-write-twin.ts";

export interface TwinLimits {
  readonly labelsPerSeriesMax: number;
  readonly labelNameBytesMax: number;
  readonly labelValueBytesMax: number;
  readonly seriesPerRequestMax: number;
  readonly retentionMs: number;
  /** None by default. */
  readonly outOfOrderWindowMs?: number;
}

/** Those of a server where they are about one request, and of times as good as none. */
export const WIDE_LIMITS: TwinLimits = {
  labelsPerSeriesMax: 40,
  labelNameBytesMax: 256,
  labelValueBytesMax: 4096,
  seriesPerRequestMax: 50_000,
  retentionMs: 2 ** 45,
};

/** A sample that came after a newer one of its series, or when the head's floor was above it. */
export interface TwinLateSample extends TwinSample {
  readonly sequence: number;
}

/** Hides what is in order from `mint` to `maxt`, and what came late before it. */
export interface TwinDelete {
  readonly mint: bigint;
  readonly maxt: bigint;
  readonly sequence: number;
}

export interface TwinHeadSeries {
  /** Ordered by name, without empty values. */
  readonly labels: readonly ByteLabel[];
  /** Every sample that was ever stored. */
  readonly samples: TwinSample[];
  /** Where in `samples` each chunk begins; the last chunk is open. */
  readonly chunkStarts: number[];
  /** Chunks that were dropped, from the oldest on. */
  droppedChunks: number;
  /** Which samples were dropped while their chunk was open, so that no file ever had them. */
  readonly droppedOpen: { readonly from: number; readonly to: number }[];
  /** In the order in which they came. */
  late: readonly TwinLateSample[];
  /** With those that were dropped. */
  readonly lateEver: TwinLateSample[];
  /** No late sample is older, of those since there was none. */
  lateOldest: bigint;
  /** In the order in which they came; and with those that were dropped. */
  deletes: readonly TwinDelete[];
  readonly deletesEver: TwinDelete[];
  /** The late sample with the newest time that there ever was. */
  newestLate: TwinSample | undefined;
}

/** What a request came to. */
export interface TwinAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: ReadonlyMap<RejectReason, number>;
  /** In the order in which they were stored. */
  readonly stored: readonly StoredSample[];
}

export interface StoredSample extends TwinSample {
  readonly series: TwinHeadSeries;
  readonly isLate: boolean;
}

export interface StoredDelete {
  readonly series: TwinHeadSeries;
}

const FUTURE_MS = 600_000n;
const CHUNK_SAMPLES = 120;
const CHUNK_RANGE_MS = 7_200_000n;
const strict = new TextDecoder("utf-8", { fatal: true });

export class HeadTwin {
  readonly series = new Map<string, TwinHeadSeries>();
  /** Series that were collected, in the order in which they went. */
  readonly collected: TwinHeadSeries[] = [];
  readonly #limits: TwinLimits;
  #floorMs = -(1n << 62n);
  /** Of the newest sample that was ever stored. */
  #newestMs = -(1n << 62n);
  /** Of the last request of which something was stored. */
  sequence = 0;

  constructor(limits: TwinLimits) {
    this.#limits = limits;
  }

  /** @throws Error when the message is malformed */
  ingest(message: Uint8Array, nowMs: number): TwinAnswer {
    const rejected = new Map<RejectReason, number>();
    const reject = (reason: RejectReason, count: number): void =>
      void rejected.set(reason, (rejected.get(reason) ?? 0) + count);
    const request = parseWriteRequest(message);
    const timeFault = ({ timestampMs }: TwinSample): RejectReason | undefined => {
      if (timestampMs > BigInt(nowMs) + FUTURE_MS) return "too_far_in_future";
      return timestampMs < BigInt(nowMs) - BigInt(this.#limits.retentionMs) ? "too_old" : undefined;
    };

    // All series are found or made first.
    const rows: { readonly series: TwinHeadSeries; readonly samples: readonly TwinSample[] }[] = [];
    for (const { labels, samples, histograms } of request) {
      if (histograms > 0) reject("unsupported", histograms);
      if (samples.length === 0) continue;
      const checked = this.#check(labels);
      if (typeof checked === "string") {
        reject(checked, samples.length);
        continue;
      }
      const key = keyOf(checked);
      if (!this.series.has(key)) {
        const faults = samples.map(timeFault);
        if (faults.every((fault) => fault !== undefined)) {
          for (const fault of faults) reject(fault, 1);
          continue;
        }
        this.series.set(key, {
          labels: checked,
          samples: [],
          late: [],
          deletes: [],
          deletesEver: [],
          lateEver: [],
          lateOldest: 0n,
          newestLate: undefined,
          ...noChunks(),
        });
      }
      rows.push({ series: this.series.get(key)!, samples });
    }

    let duplicates = 0;
    const stored: StoredSample[] = [];
    for (const { series, samples } of rows) {
      for (const sample of samples) {
        const fault = timeFault(sample) ?? this.#judge(series, sample);
        if (fault === "stored") duplicates++;
        else if (fault === "late") {
          const late = { ...sample, sequence: this.sequence + 1 };
          if (series.late.length === 0 || late.timestampMs < series.lateOldest) series.lateOldest = late.timestampMs;
          series.late = [...series.late, late];
          series.lateEver.push(late);
          if (sample.timestampMs > (series.newestLate?.timestampMs ?? NEVER)) series.newestLate = sample;
          stored.push({ ...sample, series, isLate: true });
        } else if (fault !== undefined) reject(fault, 1);
        else {
          append(series, sample);
          stored.push({ ...sample, series, isLate: false });
        }
      }
    }
    if (stored.length > 0) this.sequence++;
    return { accepted: stored.length + duplicates, duplicates, rejected, stored };
  }

  /** What becomes of a sample of a known series, when it is not appended. */
  #judge(series: TwinHeadSeries, { timestampMs, value }: TwinSample): RejectReason | "stored" | "late" | undefined {
    const newest = series.samples.at(-1);
    const newestMs = newest?.timestampMs ?? NEVER;
    const { newestLate } = series;
    const headMs = this.#newestMs > this.#floorMs ? this.#newestMs : this.#floorMs;
    if (timestampMs > this.#newestMs) this.#newestMs = timestampMs;
    if (timestampMs > newestMs && timestampMs >= this.#floorMs) return undefined;
    if (timestampMs === newestMs) return value === newest.value ? "stored" : "duplicate";
    if (timestampMs === newestLate?.timestampMs) return value === newestLate.value ? "stored" : "duplicate";
    if (timestampMs > newestMs && timestampMs > (newestLate?.timestampMs ?? NEVER)) return "late";
    const { outOfOrderWindowMs = 0 } = this.#limits;
    if (outOfOrderWindowMs === 0) return "out_of_order";
    return timestampMs < headMs - BigInt(outOfOrderWindowMs) ? "too_old" : "late";
  }

  /** @returns what was noted down, in the order of `series` */
  delete(series: readonly TwinHeadSeries[], mintMs: number, maxtMs: number): readonly (TwinDelete & StoredDelete)[] {
    const noted: (TwinDelete & StoredDelete)[] = [];
    for (const one of series) {
      const { samples, chunkStarts, droppedChunks, late, newestLate } = one;
      const inOrder = samples.slice(chunkStarts[droppedChunks] ?? samples.length);
      if (inOrder.length + late.length === 0) continue;
      let oldest = inOrder[0]?.timestampMs ?? one.lateOldest;
      if (late.length > 0 && one.lateOldest < oldest) oldest = one.lateOldest;
      let newest = samples.at(-1)?.timestampMs ?? NEVER;
      if (late.length > 0 && newestLate!.timestampMs > newest) newest = newestLate!.timestampMs;
      const mint = BigInt(mintMs) > oldest ? BigInt(mintMs) : oldest;
      const maxt = BigInt(maxtMs) < newest ? BigInt(maxtMs) : newest;
      if (mint > maxt) continue;
      const deletion = { mint, maxt, sequence: this.sequence + 1 };
      one.deletes = [...one.deletes, deletion];
      one.deletesEver.push(deletion);
      noted.push({ ...deletion, series: one });
    }
    if (noted.length > 0) this.sequence++;
    return noted;
  }

  raiseFloor(beforeMs: number): void {
    if (BigInt(beforeMs) > this.#floorMs) this.#floorMs = BigInt(beforeMs);
  }

  /** The labels as a series has them, or why they are refused. */
  #check(found: readonly (ByteLabel | undefined)[]): readonly ByteLabel[] | RejectReason {
    const { labelsPerSeriesMax, labelNameBytesMax, labelValueBytesMax } = this.#limits;
    // Nobody looks further than one label past twice the limit.
    const looked = found.slice(0, labelsPerSeriesMax * 2 + 1);
    const labels = looked.filter((label) => label !== undefined);
    if (labels.length < looked.length) return "labels_invalid";
    if (labels.length > labelsPerSeriesMax * 2) return "label_count";
    for (const [name, value] of labels) {
      if (name === "") return "labels_invalid";
      if (name.length > labelNameBytesMax) return "label_name_length";
      if (value.length > labelValueBytesMax) return "label_value_length";
      if (!isText(name) || !isText(value)) return "labels_invalid";
    }
    const present = labels.filter(([, value]) => value !== "");
    if (present.length > labelsPerSeriesMax) return "label_count";
    if (new Set(labels.map(([name]) => name)).size < labels.length) return "labels_invalid";
    if (!present.some(([name]) => name === "__name__")) return "labels_invalid";
    return present.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /**
   * Drops chunks, full or open, whose newest sample is older than `beforeMs`, and older late samples of requests up to
   * `sequence`. @returns how many
   */
  dropChunks(beforeMs: number, sequence: number): number {
    let dropped = 0;
    for (const series of this.series.values()) {
      const { samples, chunkStarts, late } = series;
      series.late = late.filter((row) => row.timestampMs >= BigInt(beforeMs) || row.sequence > sequence);
      dropped += late.length - series.late.length;
      while (series.droppedChunks < chunkStarts.length) {
        const end = chunkStarts[series.droppedChunks + 1] ?? samples.length;
        if (samples[end - 1]!.timestampMs >= BigInt(beforeMs)) break;
        const isOpen = series.droppedChunks === chunkStarts.length - 1;
        if (isOpen) series.droppedOpen.push({ from: chunkStarts[series.droppedChunks]!, to: end });
        series.droppedChunks++;
        dropped++;
      }
      const start = chunkStarts[series.droppedChunks];
      const oldest = start === undefined ? undefined : samples[start]!.timestampMs;
      const { deletes } = series;
      series.deletes = deletes.filter(
        (del) =>
          del.maxt >= BigInt(beforeMs) || del.sequence > sequence || (oldest !== undefined && oldest <= del.maxt),
      );
      dropped += deletes.length - series.deletes.length;
    }
    return dropped;
  }

  /** Forgets the series that have nothing left. */
  collect(): void {
    for (const [key, series] of this.series) {
      if (series.droppedChunks < series.chunkStarts.length || series.late.length > 0) continue;
      this.series.delete(key);
      this.collected.push(series);
    }
  }

  /** Whether a selection finds a series: unless all of it that is in order is hidden by one delete, and each late row is. */
  static isFound({ samples, chunkStarts, droppedChunks, late, deletes }: TwinHeadSeries): boolean {
    const inOrder = samples.slice(chunkStarts[droppedChunks] ?? samples.length);
    const [oldest, newest] = [inOrder[0]?.timestampMs, inOrder.at(-1)?.timestampMs];
    const isHidden = oldest === undefined || deletes.some((del) => del.mint <= oldest && del.maxt >= newest);
    return !isHidden || visible([], late, deletes).length > 0;
  }

  /** What a query sees of a series: of samples with one time the first, and one that came in order before late ones. */
  static samplesOf({ samples, chunkStarts, droppedChunks, late, deletes }: TwinHeadSeries): readonly TwinSample[] {
    return visible(samples.slice(chunkStarts[droppedChunks] ?? samples.length), late, deletes);
  }
}

/** What is left of samples and late samples, merged. */
export function visible(
  inOrder: readonly TwinSample[],
  late: readonly TwinLateSample[],
  deletes: readonly TwinDelete[],
): TwinSample[] {
  const isIn = (timestampMs: bigint, { mint, maxt }: TwinDelete): boolean => timestampMs >= mint && timestampMs <= maxt;
  return merged(
    inOrder.filter(({ timestampMs }) => !deletes.some((del) => isIn(timestampMs, del))),
    late.filter((row) => !deletes.some((del) => isIn(row.timestampMs, del) && row.sequence <= del.sequence)),
  );
}

const NEVER = -(1n << 63n);

const noChunks = (): Pick<TwinHeadSeries, "chunkStarts" | "droppedChunks" | "droppedOpen"> => ({
  chunkStarts: [],
  droppedChunks: 0,
  droppedOpen: [],
});

/** Of samples with one time that of the earlier source, within a source the first; in order of time. */
export function merged(...sources: readonly (readonly TwinSample[])[]): TwinSample[] {
  const byTime = new Map<bigint, TwinSample>();
  for (const { timestampMs, value } of sources.flat()) {
    if (!byTime.has(timestampMs)) byTime.set(timestampMs, { timestampMs, value });
  }
  return [...byTime.values()].sort((a, b) => (a.timestampMs < b.timestampMs ? -1 : 1));
}

function append({ samples, chunkStarts, droppedChunks }: TwinHeadSeries, sample: TwinSample): void {
  const range = (timestampMs: bigint): bigint =>
    timestampMs / CHUNK_RANGE_MS - (timestampMs % CHUNK_RANGE_MS < 0n ? 1n : 0n);
  const start = chunkStarts.at(-1);
  const isFull =
    start === undefined ||
    droppedChunks === chunkStarts.length ||
    samples.length - start === CHUNK_SAMPLES ||
    range(samples[samples.length - 1]!.timestampMs) !== range(sample.timestampMs);
  if (isFull) chunkStarts.push(samples.length);
  samples.push(sample);
}

/** Label texts are byte strings, so their order is that of bytes. */
export const keyOf = (labels: readonly ByteLabel[]): string => JSON.stringify(labels);

function isText(bytes: string): boolean {
  try {
    strict.decode(Buffer.from(bytes, "latin1"));
    return true;
  } catch {
    return false;
  }
}
