/**
 * Samples in no order, as rows: time f64, value as two words, number of the series u32, and 4 unused bytes. Values are moved
 * as words: JavaScript may change the payload of a NaN that it takes for a number.
 */
export const ROW_BYTES = 24;
const ROW_WORDS = ROW_BYTES / 4;
const ROW_DOUBLES = ROW_BYTES / 8;

/** The bits that Go and Prometheus have for a NaN that was read from text. */
const NAN_LOW = 1;
const NAN_HIGH = 0x7ff80000;

/** Views of the same rows. */
export class SampleRows {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;

  constructor(capacity: number) {
    const buffer = new ArrayBuffer(capacity * ROW_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#words = new Uint32Array(buffer);
  }

  get capacity(): number {
    return this.bytes.byteLength / ROW_BYTES;
  }

  series = (row: number): number => this.#words[row * ROW_WORDS + 4]!;
  timeMs = (row: number): number => this.#doubles[row * ROW_DOUBLES]!;

  set(row: number, series: number, timeMs: number, value: number): void {
    if (Number.isNaN(value)) return this.setWords(row, series, timeMs, NAN_LOW, NAN_HIGH);
    this.#doubles[row * ROW_DOUBLES] = timeMs;
    this.#doubles[row * ROW_DOUBLES + 1] = value;
    this.#words[row * ROW_WORDS + 4] = series;
  }

  /** @param low of the value's bits, as `high` */
  setWords(row: number, series: number, timeMs: number, low: number, high: number): void {
    this.#doubles[row * ROW_DOUBLES] = timeMs;
    this.#words[row * ROW_WORDS + 2] = low;
    this.#words[row * ROW_WORDS + 3] = high;
    this.#words[row * ROW_WORDS + 4] = series;
  }

  copyRow(row: number, from: SampleRows, fromRow: number): void {
    const to = row * ROW_WORDS;
    const source = fromRow * ROW_WORDS;
    for (let i = 0; i < 5; i++) this.#words[to + i] = from.#words[source + i]!;
  }

  /** Writes times and values as columns. @param words of the values' column: two each */
  copyColumns(first: number, count: number, times: Float64Array, words: Uint32Array): void {
    for (let i = 0; i < count; i++) {
      times[i] = this.#doubles[(first + i) * ROW_DOUBLES]!;
      words[2 * i] = this.#words[(first + i) * ROW_WORDS + 2]!;
      words[2 * i + 1] = this.#words[(first + i) * ROW_WORDS + 3]!;
    }
  }

  isAscending(first: number, count: number): boolean {
    for (let i = first + 1; i < first + count; i++) if (this.timeMs(i) <= this.timeMs(i - 1)) return false;
    return true;
  }
}
