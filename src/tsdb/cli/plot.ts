/**
 * A line plot for terminals. Each character cell is a braille pattern of 2 x 4 dots, so a plot of 60 x 15 cells has
 * 120 x 60 points. Values that are missing or not finite leave a gap.
 */
export interface PlotSeries {
  readonly name: string;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

export interface PlotOptions {
  /** Of the whole plot, axes included. */
  readonly columns: number;
  readonly rows: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Points farther apart than this are not joined. */
  readonly stepMs: number;
  readonly color: boolean;
}

/** More lines than this in one plot tell nothing; the highest are drawn. */
export const SERIES_DRAWN_MAX = 10;

const BRAILLE = 0x2800;
/** Bit of each dot, by column and row within the cell. */
const dotBits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const colors = [32, 33, 34, 35, 36, 31, 92, 93, 94, 95] as const;

export function plot(series: readonly PlotSeries[], options: PlotOptions): string {
  const drawn = highest(series);
  const range = valueRange(drawn);
  if (!range) return "No finite values to plot.\n";

  const plotRows = Math.max(4, options.rows - 2);
  const ticks = tickTexts(range, plotRows);
  const gutter = Math.max(...ticks.map((text) => text.length));
  const canvas = new Canvas(Math.max(10, options.columns - gutter - 2), plotRows);

  const spanMs = Math.max(1, options.endMs - options.startMs);
  const x = (timeMs: number): number => Math.round(((timeMs - options.startMs) / spanMs) * (canvas.width - 1));
  const y = (value: number): number =>
    // Halved, because the distance of two finite values may not be finite.
    Math.round(((range.max / 2 - value / 2) / (range.max / 2 - range.min / 2)) * (canvas.height - 1));
  drawn.forEach(({ timesMs, values }, seriesIndex) => {
    let last: number | undefined;
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) return;
      const timeMs = timesMs[i]!;
      const joins = last !== undefined && timeMs - timesMs[last]! <= options.stepMs * 1.5;
      const from = joins ? last! : i;
      canvas.line(x(timesMs[from]!), y(values[from]!), x(timeMs), y(value), seriesIndex);
      last = i;
    });
  });

  const paint = (text: string, seriesIndex: number): string =>
    options.color ? `\u001b[${colors[seriesIndex % colors.length]}m${text}\u001b[0m` : text;
  const lines = ticks.map(
    (tick, row) => `${tick.padStart(gutter)} ${tick === "" ? "│" : "┤"}${canvas.row(row, paint)}`,
  );
  lines.push(`${" ".repeat(gutter)} └${"─".repeat(canvas.columns)}`);
  lines.push(timeAxis(options, gutter + 2, canvas.columns));
  lines.push(...legend(drawn, paint));
  if (series.length > drawn.length) lines.push(`... and ${series.length - drawn.length} more series, which stay lower`);
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** As many series as are drawn, in the order that they came in. */
function highest(series: readonly PlotSeries[]): readonly PlotSeries[] {
  if (series.length <= SERIES_DRAWN_MAX) return series;
  const peak = ({ values }: PlotSeries): number =>
    values.reduce((max, value) => (Number.isFinite(value) && value > max ? value : max), -Infinity);
  const byPeak = series.toSorted((a, b) => peak(b) - peak(a));
  const drawn = new Set(byPeak.slice(0, SERIES_DRAWN_MAX));
  return series.filter((each) => drawn.has(each));
}

class Canvas {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
  readonly #bits: Uint8Array;
  /** The series that touched a cell last: a cell has one colour. */
  readonly #owner: Int32Array;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.width = columns * 2;
    this.height = rows * 4;
    this.#bits = new Uint8Array(columns * rows);
    this.#owner = new Int32Array(columns * rows);
  }

  /** Bresenham's. */
  line(x0: number, y0: number, x1: number, y1: number, owner: number): void {
    const [dx, dy] = [Math.abs(x1 - x0), -Math.abs(y1 - y0)];
    const [stepX, stepY] = [Math.sign(x1 - x0), Math.sign(y1 - y0)];
    let [x, y, error] = [x0, y0, dx + dy];
    for (;;) {
      this.#dot(x, y, owner);
      if (x === x1 && y === y1) return;
      const doubled = 2 * error;
      if (doubled >= dy) [x, error] = [x + stepX, error + dy];
      if (doubled <= dx) [y, error] = [y + stepY, error + dx];
    }
  }

  #dot(x: number, y: number, owner: number): void {
    if (x < 0 || x >= this.width || y < 0 || y >= this.height) return;
    const cell = (y >> 2) * this.columns + (x >> 1);
    this.#bits[cell]! |= dotBits[x & 1]![y & 3]!;
    this.#owner[cell] = owner;
  }

  row(row: number, paint: (text: string, owner: number) => string): string {
    let text = "";
    for (let cell = row * this.columns; cell < (row + 1) * this.columns; cell++) {
      const bits = this.#bits[cell]!;
      text += bits === 0 ? " " : paint(String.fromCharCode(BRAILLE + bits), this.#owner[cell]!);
    }
    return text;
  }
}

function valueRange(series: readonly PlotSeries[]): { readonly min: number; readonly max: number } | undefined {
  let [min, max] = [Infinity, -Infinity];
  for (const { values } of series)
    for (const value of values) if (Number.isFinite(value)) [min, max] = [Math.min(min, value), Math.max(max, value)];
  if (min > max) return undefined;
  // A flat line is drawn in the middle.
  return min === max ? { min: min - (Math.abs(min) || 1) / 2, max: max + (Math.abs(max) || 1) / 2 } : { min, max };
}

/** A value beside every fourth row, the first and the last included as far as they fit. */
function tickTexts({ min, max }: { readonly min: number; readonly max: number }, rows: number): string[] {
  const tickCount = Math.max(2, Math.floor((rows - 1) / 4) + 1);
  const texts = Array.from({ length: rows }, () => "");
  for (let i = 0; i < tickCount; i++) {
    const row = Math.round((i * (rows - 1)) / (tickCount - 1));
    const share = row / (rows - 1);
    texts[row] = short(max * (1 - share) + min * share);
  }
  return texts;
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

function timeAxis({ startMs, endMs }: PlotOptions, indent: number, columns: number): string {
  const spanDays = (endMs - startMs) / 86_400_000;
  const text = (ms: number): string => {
    const iso = new Date(ms).toISOString();
    return spanDays > 1 ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 19);
  };
  const [left, right] = [text(startMs), `${text(endMs)} UTC`];
  return " ".repeat(indent) + left + " ".repeat(Math.max(1, columns - left.length - right.length)) + right;
}

function legend(series: readonly PlotSeries[], paint: (text: string, owner: number) => string): string[] {
  return series.map(({ name, values }, i) => {
    const finite = values.filter(Number.isFinite);
    const last = finite.at(-1);
    const range = finite.reduce(({ min, max }, v) => ({ min: Math.min(min, v), max: Math.max(max, v) }), {
      min: Infinity,
      max: -Infinity,
    });
    const figures =
      last === undefined ? "no finite values" : `last ${short(last)}, min ${short(range.min)}, max ${short(range.max)}`;
    return `${paint("━━", i)} ${name}  ${figures}`;
  });
}
