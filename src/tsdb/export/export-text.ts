/**
 * Blocks as text: their series merged in the order of label sets, each with all of its samples in order of time. What is
 * deleted is not there, and of two samples with one time that of the earlier block counts, as in queries.
 */
import type { ChunkToWrite } from "../block/block-writer.ts";
import { isOpaque } from "../block/sample-sum.ts";
import { SourceMerge, type SeriesWriter } from "../compact/merge-sources.ts";
import type { SeriesSource } from "../compact/series-source.ts";
import { XorEncoder } from "../compact/xor-encoder.ts";
import { TsdbError } from "../../base/errors.ts";
import type { SymbolTable } from "../index/symbol-table.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import type { LabelSet } from "../model/labels.ts";
import type { TextFormat } from "./text-format.ts";

export interface ExportTextOptions {
  readonly module: WebAssembly.Module;
  /** That sources have their chunks in. */
  readonly memory: PrivateMemory;
  readonly format: TextFormat;
  /** Resolves when more may come. */
  readonly write: (text: string) => Promise<void>;
  /** Awaited after each series. @throws to stop */
  readonly pause: () => Promise<void>;
  readonly onProgress: (doneSeries: number, totalSeries: number) => void;
}

export interface ExportedText {
  readonly series: number;
  readonly samples: number;
  /** That the format has no word for. */
  readonly staleLeftOut: number;
  /** Of native histograms, which are no numbers. */
  readonly histogramsLeftOut: number;
}

const WRITE_CHARACTERS = 64 * 1024;
const STALE_LOW = 2;
const STALE_HIGH = 0x7ff00000;

/** @param sources in the order in which their samples count; closed by whoever opened them */
export async function exportText(
  sources: readonly SeriesSource[],
  { module, memory, format, write, pause, onProgress }: ExportTextOptions,
): Promise<ExportedText> {
  const merge = new SourceMerge(sources);
  const out = new TextWriter(merge.symbols, new PrivateMemory(module), format, write);
  if (format.header !== "") await write(format.header);
  const { seriesCount } = merge;
  await merge.writeTo(out, {
    memory,
    target: { encoder: new XorEncoder(memory), packed: false },
    pause,
    onSeries: (done) => onProgress(done, seriesCount),
  });
  await out.flush();
  if (format.footer !== "") await write(format.footer);
  return out.exported;
}

class TextWriter implements SeriesWriter {
  seriesCount = 0;
  readonly #symbols: SymbolTable;
  readonly #texts: (string | undefined)[] = [];
  readonly #memory: PrivateMemory;
  readonly #format: TextFormat;
  readonly #write: (text: string) => Promise<void>;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #text = "";
  #samples = 0;
  #stale = 0;
  #histograms = 0;

  constructor(symbols: SymbolTable, memory: PrivateMemory, format: TextFormat, write: (text: string) => Promise<void>) {
    this.#symbols = symbols;
    this.#memory = memory;
    this.#format = format;
    this.#write = write;
  }

  get exported(): ExportedText {
    return {
      series: this.seriesCount,
      samples: this.#samples,
      staleLeftOut: this.#stale,
      histogramsLeftOut: this.#histograms,
    };
  }

  async add(labels: Uint32Array, chunks: readonly ChunkToWrite[]): Promise<void> {
    const pairs: LabelSet = Array.from({ length: labels.length / 2 }, (_, i) => [
      this.#textOf(labels[2 * i]!),
      this.#textOf(labels[2 * i + 1]!),
    ]);
    const series = this.#format.series(pairs);
    let hasSamples = false;
    for (const { encoding, data, sampleCount } of chunks) {
      if (isOpaque(encoding)) {
        this.#histograms += sampleCount;
        continue;
      }
      hasSamples = true;
      this.#addSamples(series, encoding, data, sampleCount);
      if (this.#text.length >= WRITE_CHARACTERS) await this.flush();
    }
    if (hasSamples) this.seriesCount++;
  }

  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") await this.#write(text);
  }

  #addSamples(series: string, encoding: number, data: Uint8Array, sampleCount: number): void {
    const memory = this.#memory;
    memory.clear();
    const chunk = memory.reserve(data.byteLength + 16);
    const times = memory.reserve(8 * sampleCount);
    const values = memory.reserve(8 * sampleCount);
    memory.bytes.set(data, chunk);
    const count = memory.kernel.decodeChunk(encoding, chunk, data.byteLength, times, values, sampleCount);
    if (count !== sampleCount) throw new TsdbError("BLOCK_CORRUPT", `A chunk of ${series} cannot be decoded`);
    const timeColumn = memory.column(times, count);
    const valueColumn = memory.column(values, count);
    const words = new Uint32Array(memory.bytes.buffer, values, 2 * count);
    let text = "";
    for (let i = 0; i < count; i++) {
      const isStale = words[2 * i] === STALE_LOW && words[2 * i + 1] === STALE_HIGH;
      const line = this.#format.sample(series, timeColumn[i]!, valueColumn[i]!, isStale);
      if (line === undefined) this.#stale++;
      else {
        text += line;
        this.#samples++;
      }
    }
    this.#text += text;
  }

  #textOf(symbol: number): string {
    return (this.#texts[symbol] ??= this.#decoder.decode(this.#symbols.bytesOf(symbol)));
  }
}
