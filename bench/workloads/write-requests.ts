/**
 * Remote write 1.0 bodies of a population of targets, made ahead of the time that is measured. A target's message is built
 * once; for another target and another scrape the places that differ are written over, and what remains is to compress it
 * as senders do, which takes a millisecond per thousand series.
 *
 *   series: │0a len│ labels … instance … pod … │12 10│09 value 8B│10 timestamp 6B│ (one or more samples) │
 */
import snappy from "snappyjs";
import { assert } from "../../src/base/assert.ts";
import { Random } from "../../test/support/random.ts";
import type { Population, ValueKind } from "./population.ts";

export const SCRAPE_INTERVAL_MS = 15_000;

const SAMPLE_BYTES = 18;
const VALUE_OFFSET = 3;
const TIMESTAMP_OFFSET = 12;

export interface WorkloadOptions {
  readonly population: Population;
  readonly targetCount: number;
  /** Time of the first scrape; each target's is up to one interval later, always by as much. */
  readonly startMs: number;
  /** Between two scrapes of one target; SCRAPE_INTERVAL_MS when absent. */
  readonly intervalMs?: number;
  readonly seed?: number;
}

export interface RequestShape {
  readonly samplesPerRequest: number;
  /** Samples of each series in one request: one, as senders do, unless a load is to be quick. */
  readonly samplesPerSeries?: number;
}

export interface RequestBody {
  /** Requests of one lane must be sent in their order: they may hold the same series. */
  readonly lane: number;
  readonly sampleCount: number;
  /** Snappy-compressed. */
  readonly body: Uint8Array;
}

export class Workload {
  readonly targetCount: number;
  readonly startMs: number;
  readonly intervalMs: number;
  readonly seriesPerTarget: number;
  readonly #kinds: readonly ValueKind[];
  readonly #population: Population;
  readonly #random: Random;
  readonly #templates = new Map<number, Template>();
  readonly #values: Float64Array;
  readonly #offsetMs: Int32Array;
  #scrape = 0;

  constructor({ population, targetCount, startMs, intervalMs = SCRAPE_INTERVAL_MS, seed = 42 }: WorkloadOptions) {
    this.targetCount = targetCount;
    this.startMs = startMs;
    this.intervalMs = intervalMs;
    this.seriesPerTarget = population.series.length;
    this.#kinds = population.series.map(({ kind }) => kind);
    this.#population = population;
    this.#random = new Random(seed);
    this.#values = new Float64Array(this.seriesCount);
    for (let i = 0; i < this.#values.length; i++)
      this.#values[i] = this.#firstValue(this.#kinds[i % this.seriesPerTarget]!);
    this.#offsetMs = Int32Array.from({ length: targetCount }, () => this.#random.below(intervalMs));
  }

  get seriesCount(): number {
    return this.targetCount * this.seriesPerTarget;
  }

  get metricNames(): string[] {
    return [...new Set(this.#population.series.map(({ labels }) => labels["__name__"]!))];
  }

  /** Scrapes of every target made so far. */
  get scrapeCount(): number {
    return this.#scrape;
  }

  /** Time of the newest sample of all. */
  get newestMs(): number {
    return this.startMs + (this.#scrape - 1) * this.intervalMs + Math.max(...this.#offsetMs);
  }

  /**
   * The next scrape (or as many as there are samples per series) of every target, cut into requests of `samplesPerRequest`
   * samples; a request with room for more than one target's series holds those of neighbours.
   */
  *nextScrape({ samplesPerRequest, samplesPerSeries = 1 }: RequestShape): Generator<RequestBody> {
    const { seriesPerTarget } = this;
    const seriesPerRequest = samplesPerRequest / samplesPerSeries;
    const targetsPerRequest = Math.max(1, Math.floor(seriesPerRequest / seriesPerTarget));
    const template = this.#templateOf(samplesPerSeries);
    const { message, starts } = template;
    const scratch = new Uint8Array(message.byteLength * targetsPerRequest);
    for (let first = 0; first < this.targetCount; first += targetsPerRequest) {
      const lane = first / targetsPerRequest;
      const targets = Math.min(targetsPerRequest, this.targetCount - first);
      for (let i = 0; i < targets; i++) {
        this.#fill(template, first + i);
        scratch.set(message, i * message.byteLength);
      }
      const step = targets > 1 ? seriesPerTarget : Math.min(seriesPerTarget, seriesPerRequest);
      for (let from = 0; from < seriesPerTarget; from += step) {
        const to = Math.min(seriesPerTarget, from + step);
        const end = starts[to]! + (targets - 1) * message.byteLength;
        const sampleCount = (to - from + (targets - 1) * seriesPerTarget) * samplesPerSeries;
        yield { lane, sampleCount, body: snappy.compress(scratch.subarray(starts[from], end)) };
      }
    }
    this.#scrape += samplesPerSeries;
  }

  timestampOf(target: number, scrape: number): number {
    return this.startMs + this.#offsetMs[target]! + scrape * this.intervalMs;
  }

  /** Writes a target's names, its next values and their times into the template. */
  #fill({ samplesPerSeries, message, view, places, samples }: Template, target: number): void {
    for (const { bytesOf, at } of places) {
      const bytes = bytesOf(target);
      for (const place of at) message.set(bytes, place);
    }
    let next = 0;
    for (let i = 0; i < this.seriesPerTarget; i++) {
      for (let s = 0; s < samplesPerSeries; s++) {
        const at = samples[next++]!;
        const scrape = this.#scrape + s;
        view.setFloat64(
          at + VALUE_OFFSET,
          this.#nextValue(target * this.seriesPerTarget + i, this.#kinds[i]!, scrape),
          true,
        );
        writeTimestamp(message, at + TIMESTAMP_OFFSET, this.timestampOf(target, scrape));
      }
    }
  }

  #templateOf(samplesPerSeries: number): Template {
    const known = this.#templates.get(samplesPerSeries);
    if (known !== undefined) return known;
    const template = buildTemplate(this.#population, samplesPerSeries);
    this.#templates.set(samplesPerSeries, template);
    return template;
  }

  #firstValue(kind: ValueKind): number {
    switch (kind) {
      case "counter":
        return this.#random.below(1e9);
      case "seconds":
        return Math.round(this.#random.next() * 1e8) / 100;
      case "constant":
        return this.#random.below(4096);
    }
  }

  #nextValue(index: number, kind: ValueKind, scrape: number): number {
    const value = this.#values[index]!;
    if (scrape === 0) return value;
    return (this.#values[index] = this.#grown(value, kind));
  }

  #grown(value: number, kind: ValueKind): number {
    switch (kind) {
      case "counter":
        return value + this.#random.below(2000);
      case "seconds":
        return Math.round((value + this.#random.next() * 15) * 100) / 100;
      case "constant":
        return this.#random.chance(0.002) ? value + 1 : value;
    }
  }
}

interface Template {
  readonly samplesPerSeries: number;
  readonly message: Uint8Array;
  readonly view: DataView;
  /** Offset of each series, and the end of the last. */
  readonly starts: readonly number[];
  /** The labels that name the target, and where each series has them. */
  readonly places: readonly { readonly bytesOf: (target: number) => Uint8Array; readonly at: readonly number[] }[];
  /** Offset of each sample. */
  readonly samples: readonly number[];
}

function buildTemplate({ series, targetLabels }: Population, samplesPerSeries: number): Template {
  const [own, others] = [targetLabels(0), targetLabels(1)];
  const places = Object.keys(own)
    .filter((name) => own[name] !== others[name])
    .map((name) => ({
      name,
      bytesOf: (target: number) => Buffer.from(targetLabels(target)[name]!),
      at: [] as number[],
    }));
  for (const { bytesOf } of places)
    assert(bytesOf(0).byteLength === bytesOf(999).byteLength, "labels of a fixed width");

  const pieces: Buffer[] = [];
  const starts: number[] = [0];
  const samples: number[] = [];
  let length = 0;
  for (const { labels } of series) {
    const encoded = encodeLabels({ ...own, ...labels });
    const seriesBytes = encoded.byteLength + samplesPerSeries * SAMPLE_BYTES;
    const head = Buffer.from([0x0a, ...varint(seriesBytes)]);
    pieces.push(head, encoded);
    length += head.byteLength;
    for (const { name, at } of places)
      at.push(length + encoded.indexOf(encodeLabel(name, own[name]!)) + encodeLabel(name, "").byteLength);
    length += encoded.byteLength;
    for (let s = 0; s < samplesPerSeries; s++) {
      const sample = Buffer.alloc(SAMPLE_BYTES);
      sample.set([0x12, SAMPLE_BYTES - 2, 0x09]);
      sample[TIMESTAMP_OFFSET - 1] = 0x10;
      pieces.push(sample);
      samples.push(length);
      length += SAMPLE_BYTES;
    }
    starts.push(length);
  }
  const message = Uint8Array.from(Buffer.concat(pieces));
  return { samplesPerSeries, message, view: new DataView(message.buffer), starts, places, samples };
}

/** In the order in which senders write labels: by name. */
const encodeLabels = (labels: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat(
    Object.keys(labels)
      .sort()
      .map((name) => encodeLabel(name, labels[name]!)),
  );

function encodeLabel(name: string, value: string): Buffer {
  const pair = Buffer.concat([lengthDelimited(0x0a, name), lengthDelimited(0x12, value)]);
  return Buffer.concat([Buffer.from([0x0a, ...varint(pair.byteLength)]), pair]);
}

const lengthDelimited = (tag: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([tag, ...varint(Buffer.byteLength(text))]), Buffer.from(text)]);

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

/** Milliseconds since 1970 take six bytes until the year 2109. */
function writeTimestamp(into: Uint8Array, at: number, timestampMs: number): void {
  let rest = timestampMs;
  for (let i = 0; i < 5; i++) {
    into[at + i] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  into[at + 5] = rest;
}
