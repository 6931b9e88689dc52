/** `tsdb import`: samples of any age from text, and blocks that Prometheus has written, to a data directory. */
import { Option, type Command } from "commander";
import { join } from "node:path/posix";
import { systemClock } from "../../base/clock.ts";
import { errnoOf, TsdbError } from "../../base/errors.ts";
import { realVfs, type Vfs } from "../../base/vfs.ts";
import { makeDir } from "../db/make-dir.ts";
import type { ExpositionFormat } from "../import/exposition.ts";
import { importForeignBlocks, type ForeignResult } from "../import/foreign-blocks.ts";
import { importExposition, type ImportResult } from "../import/import-exposition.ts";
import { loadKernelModule } from "../kernel/load.ts";
import { blocksDirOf, newUlids } from "../maintenance/block-dirs.ts";
import { newCommand } from "./command.ts";
import { dataDirOption, mustBeDirectory, withLock } from "./data-dir.ts";
import { CommandError, exitCodes, type ExitCode } from "./exit.ts";
import { checkOf, interruptible } from "./interrupt.ts";
import { jobEnvironment } from "./job-environment.ts";
import { outputOption, printJson } from "./output-format.ts";
import { Progress } from "./progress.ts";
import { table } from "./table.ts";
import { bytesText, countOf, countText, timeText } from "./units.ts";

/** As the server does with what is written to it. */
const FUTURE_MS_MAX = 10 * 60_000;
const HOUR_MS = 3_600_000;
const PIECE_BYTES = 1024 * 1024;
/** More than that are told in one line. */
const BLOCKS_LISTED_MAX = 40;

const afterHelp = `
The server must be stopped: the command takes the lock of the data directory, and makes the
directory if it is missing. Until all is complete and verified, nothing of it counts. Of two
samples of one series at one time, that of an older block has its way, and those in blocks before
those in the log. At its next start the server removes what is older than its retention
(storage.retention, 30d by default).`;

interface ImportFlags {
  readonly dataDir: string;
  readonly output: string;
}

export function command(done: (exitCode: ExitCode) => void): Command {
  const program = newCommand("import", "Bring samples from elsewhere to a data directory");

  program.addCommand(
    newCommand("import prometheus-dir", "Import the blocks of a Prometheus data directory or snapshot")
      .argument("<DIR>", "a directory of blocks, or one block")
      .addOption(dataDirOption())
      .addOption(new Option("--copy", "copy files that could be linked").default(false))
      .addOption(outputOption())
      .addHelpText(
        "after",
        `
Blocks are verified, then linked (copied, where they are on another volume). Native histograms
are kept as they are; queries do not read them yet. Prometheus' own write-ahead log is not read:
import a snapshot of a running Prometheus, which has all of it (POST /api/v1/admin/tsdb/snapshot).
${afterHelp}`,
      )
      .action(async (dir: string, flags: ImportFlags & { readonly copy: boolean }) => {
        mustBeDirectory(dir, "the directory", "Give the data directory of a Prometheus, or a snapshot of one");
        const result = await importing(flags.dataDir, (context) =>
          importForeignBlocks({
            ...context,
            sourceDir: dir,
            copies: flags.copy,
            // Ctrl-C ends the process at once: only a thread that returns to its loop could hear of it, and what is left
            // behind is removed by the next start.
            check: () => undefined,
            onProgress: (what, count, total) => context.progress.update(what, { done: count, total, unit: "blocks" }),
          }),
        );
        if (flags.output === "json") printJson(result);
        else process.stdout.write(foreignText(result));
        done(exitCodes.ok);
      }),
  );

  program.addCommand(
    newCommand("import openmetrics", "Import samples from a text file, of any age and in any order")
      .argument("<FILE>", "the file, or - for standard input")
      .addOption(dataDirOption())
      .addOption(
        new Option("--format <FORMAT>", "times are seconds in `openmetrics`, milliseconds in `text`")
          .choices(["openmetrics", "text"])
          .default("openmetrics"),
      )
      .addOption(
        new Option("--block-range <HOURS>", "how much time a block may span; longer for samples of months")
          .choices(["2", "6", "18", "54", "162"])
          .default("2"),
      )
      .addOption(outputOption())
      .addHelpText(
        "after",
        `
Every sample needs a time. OpenMetrics ends with # EOF; without it the file is not whole. Exemplars
are left out.
${afterHelp}

Examples:
  tsdb import openmetrics history.om --data-dir data
  promtool tsdb dump-openmetrics prometheus-data | tsdb import openmetrics - --data-dir data`,
      )
      .action(async (file: string, flags: ImportFlags & { readonly format: string; readonly blockRange: string }) => {
        const source = await openSource(file);
        const run = (context: Context, signal: AbortSignal): Promise<ImportResult> =>
          importExposition(source.pieces, {
            ...context,
            spillDir: join(flags.dataDir, "import.tmp"),
            check: checkOf(signal),
            format: flags.format as ExpositionFormat,
            rangeMs: Number(flags.blockRange) * HOUR_MS,
            latestMs: Date.now() + FUTURE_MS_MAX,
            onProgress(what, count, total) {
              if (what === "writing") context.progress.update("writing", { done: count, total, unit: "blocks" });
              else if (source.totalBytes === 0)
                context.progress.update("reading", { done: count, total, unit: "samples" });
              else
                context.progress.update("reading", {
                  done: source.doneBytes(),
                  total: source.totalBytes,
                  unit: "bytes",
                });
            },
          });
        const result = await importing(flags.dataDir, (context) =>
          interruptible((signal) => run(context, signal), "nothing was imported"),
        ).catch((thrown: unknown) => {
          // The line that it names is one of this file.
          if (!(thrown instanceof TsdbError) || thrown.code !== "BAD_REQUEST") throw thrown;
          throw new CommandError(exitCodes.failed, `${file}: ${thrown.message} (nothing was imported)`, thrown.remedy);
        });
        if (flags.output === "json") printJson(result);
        else process.stdout.write(importText(result));
        done(exitCodes.ok);
      }),
  );
  return program;
}

interface Context {
  readonly vfs: Vfs;
  readonly module: WebAssembly.Module;
  readonly blocksDir: string;
  readonly nextUlid: () => string;
  readonly progress: Progress;
}

async function importing<T>(dataDir: string, use: (context: Context) => Promise<T>): Promise<T> {
  const progress = new Progress(process.stderr, systemClock);
  const module = loadKernelModule();
  const blocksDir = blocksDirOf({ dataDir });
  try {
    return await withLock(dataDir, "is created", async () => {
      await makeDir(realVfs, blocksDir);
      const nextUlid = await newUlids(jobEnvironment(dataDir, module), blocksDir);
      return use({ vfs: realVfs, module, blocksDir, nextUlid, progress });
    });
  } finally {
    progress.clear();
  }
}

interface Source {
  readonly pieces: AsyncIterable<Uint8Array>;
  /** 0: not known. */
  readonly totalBytes: number;
  readonly doneBytes: () => number;
}

async function openSource(path: string): Promise<Source> {
  if (path === "-") {
    if (process.stdin.isTTY)
      throw new CommandError(exitCodes.usage, "standard input is a terminal: pipe samples into it, or name a file");
    return { pieces: process.stdin, totalBytes: 0, doneBytes: () => 0 };
  }
  const file = await realVfs.open(path, "read").catch((thrown: unknown) => {
    const reason = errnoOf(thrown) === "ENOENT" ? "there is no such file" : String(errnoOf(thrown) ?? thrown);
    throw new CommandError(exitCodes.failed, `cannot read ${path}: ${reason}`);
  });
  let done = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const piece = new Uint8Array(PIECE_BYTES);
        const count = await file.read(piece, done);
        if (count === 0) return;
        done += count;
        yield piece.subarray(0, count);
      }
    } finally {
      await file.close();
    }
  }
  return { pieces: pieces(), totalBytes: await file.sizeBytes(), doneBytes: () => done };
}

interface ListedBlock {
  readonly meta: {
    readonly ulid: string;
    readonly minTime: number;
    readonly maxTime: number;
    readonly stats: { readonly numSeries: number; readonly numSamples: number };
  };
  readonly sizeBytes: number;
}

function blockTable(blocks: readonly ListedBlock[]): string {
  if (blocks.length > BLOCKS_LISTED_MAX) return "";
  const rows = blocks.map(({ meta: { ulid, minTime, maxTime, stats }, sizeBytes }) => [
    ulid,
    timeText(minTime),
    timeText(maxTime),
    countText(stats.numSeries),
    countText(stats.numSamples),
    bytesText(sizeBytes),
  ]);
  return table(["BLOCK", "FROM", "TO", "SERIES", "SAMPLES", "SIZE"], rows, [false, false, false, true, true, true]);
}

function importText({ blocks, series, samples, repeated, exemplars }: ImportResult): string {
  if (blocks.length === 0) return "There are no samples in it: nothing was imported.\n";
  const lines = [
    `${countOf(samples, "sample")} of ${countOf(series, "series")} imported, in ${countOf(blocks.length, "block")}`,
  ];
  if (repeated > 0)
    lines.push(`${countOf(repeated, "sample")} left out: their series had one at that time, further up in the text`);
  if (exemplars > 0) lines.push(`${countOf(exemplars, "exemplar")} left out`);
  return `${blockTable(blocks)}${lines.join("\n")}\n`;
}

function foreignText({ blocks, superseded }: ForeignResult): string {
  const lines = [`${countOf(blocks.length, "block")} imported`];
  const histograms = blocks.reduce((sum, { histogramChunks }) => sum + histogramChunks, 0);
  if (histograms > 0)
    lines.push(`${countOf(histograms, "chunk")} of native histograms kept as they are; queries do not read them yet`);
  const overlapping = blocks.filter(({ overlaps }) => overlaps.length > 0);
  if (overlapping.length > 0)
    lines.push(
      `${countOf(overlapping.length, "block")} overlap others that were there; the next compaction merges them`,
    );
  if (superseded.length > 0) lines.push(`left out, as others hold what is in them: ${superseded.join(", ")}`);
  return `${blockTable(blocks)}${lines.join("\n")}\n`;
}
