/** `tsdb export`: what a data directory holds, for other programs. */
import { Option, type Command } from "commander";
import { join } from "node:path/posix";
import { systemClock } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import { removeTree } from "../../base/remove-tree.ts";
import { realVfs } from "../../base/vfs.ts";
import { matchingSeries } from "../block/block-labels.ts";
import { BlockSource, type BlockPart } from "../compact/block-source.ts";
import type { Config } from "../config.ts";
import { blocksOfPart, exportBlocks, type StoredBlock } from "../export/export-blocks.ts";
import { exportText } from "../export/export-text.ts";
import { csv, openMetrics, type TextFormat } from "../export/text-format.ts";
import type { IndexReader } from "../index/index-reader.ts";
import { loadKernelModule } from "../kernel/load.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf, newUlids } from "../maintenance/block-dirs.ts";
import { jobContext } from "../maintenance/job-context.ts";
import { quarantinedBlocks } from "../maintenance/quarantine.ts";
import type { Matcher } from "../model/matcher.ts";
import { parseMetricSelector } from "../promql/parser.ts";
import { newCommand } from "./command.ts";
import { mustBeDataDir, withLock } from "./data-dir.ts";
import { CommandError, exitCodes, type ExitCode } from "./exit.ts";
import { interruptible } from "./interrupt.ts";
import { jobEnvironment } from "./job-environment.ts";
import { headBlocks, storedBlocks } from "./offline-data.ts";
import { Progress } from "./progress.ts";
import { addSettingOptions, configFromOptions } from "./settings-options.ts";
import { openOutput } from "./text-output.ts";
import { parseTime } from "./time-option.ts";
import { countOf, timeText } from "./units.ts";

interface Flags {
  readonly match: readonly string[];
  readonly start?: string;
  readonly end?: string;
  readonly blocksOnly: boolean;
  readonly output?: string;
}

/** What is to be exported, and the world it is done in. */
interface Work {
  readonly dataDir: string;
  readonly blocks: readonly StoredBlock[];
  readonly part: BlockPart | undefined;
  readonly module: WebAssembly.Module;
  readonly nextUlid: () => string;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

const afterHelp = `
Everything is exported: blocks, and what is only in the log, which is read as a start reads it. For
that the server must be stopped: the command takes the lock of the data directory. Nothing in it is
changed. With --blocks-only it takes no lock and may run beside a server; what the server has not
brought to blocks yet, the last hours, is not exported then.
A TIME is RFC 3339 (2026-01-31T12:00:00Z), seconds since 1970, now, or now-1h.`;

export function command(done: (exitCode: ExitCode) => void): Command {
  const program = newCommand("export", "Bring what a data directory holds to other programs");
  const text = (name: string, format: TextFormat, summary: string, help: string): void => {
    const added = newCommand(`export ${name}`, summary)
      .option("-o, --output <FILE>", "where to; it appears once it is whole (default: standard output)")
      .addHelpText("after", `\n${help}\n${afterHelp}`);
    program.addCommand(
      withFlags(added).action(async (flags: Flags, self: Command) => {
        await run(flags, configFromOptions(self).config, (work) => writeText(work, format, flags.output));
        done(exitCodes.ok);
      }),
    );
  };
  const blocks = newCommand("export prometheus-dir", "Export blocks that an unmodified Prometheus opens")
    .requiredOption("-o, --output <DIR>", "where to; it must not exist, and appears once it is whole")
    .addHelpText(
      "after",
      `
Packed chunks are written anew as XOR chunks, blocks that overlap are merged, deleted samples are
left out of what is written anew. Blocks that are as Prometheus has them are linked (copied, where
they are on another volume), with their tombstones. Native histograms stay as they are; --start and
--end take them in whole chunks.
${afterHelp}`,
    );
  program.addCommand(
    withFlags(blocks).action(async (flags: Flags, self: Command) => {
      await run(flags, configFromOptions(self).config, (work) => writeBlocks(work, flags.output!));
      done(exitCodes.ok);
    }),
  );
  text(
    "openmetrics",
    openMetrics,
    "Export samples as OpenMetrics text",
    `Each series with all of its samples in order of time. Values read back to the same bits. Stale markers
and native histograms have no form in this text: they are left out, and counted.`,
  );
  text(
    "csv",
    csv,
    "Export samples as CSV",
    `A line for each sample: series, time in ms, value. Values read back to the same bits; a stale marker is
\`stale\`. Native histograms are left out, and counted.`,
  );
  return program;
}

const withFlags = (added: Command): Command =>
  addSettingOptions(
    added
      .addOption(
        new Option("--match <SELECTOR>", "only series that match; may be given several times")
          .argParser((selector: string, before: string[]) => [...before, selector])
          .default([], "all"),
      )
      .option("--start <TIME>", "only samples from this time on")
      .option("--end <TIME>", "only samples up to this time")
      .option("--blocks-only", "leave out what is only in the log; may run beside a server", false),
    ["storage.data_dir", "wal.dir"],
  );

async function run(flags: Flags, config: Config, write: (work: Work) => Promise<string>): Promise<void> {
  const { dataDir } = config.storage;
  const part = partOf(flags);
  const progress = new Progress(process.stderr, systemClock);
  mustBeDataDir(dataDir);
  const module = loadKernelModule();
  const nextUlid = await newUlids(jobEnvironment(dataDir, module), blocksDirOf({ dataDir }));
  const scratchDir = join(dataDir, "export.tmp");
  try {
    const said = await interruptible(async (signal) => {
      const work = { dataDir, part, module, nextUlid, signal, progress };
      if (flags.blocksOnly) return write({ ...work, blocks: await storedBlocks(dataDir) });
      return withLock(dataDir, "is an error", async () => {
        await freshDir(scratchDir);
        try {
          const blocks = await storedBlocks(dataDir);
          const { check } = contextOf(work);
          const head = await headBlocks({ config, module, scratchDir, nextUlid, check, progress });
          return await write({ ...work, blocks: [...blocks, ...head] });
        } finally {
          await removeTree(realVfs, scratchDir);
        }
      });
    }, "nothing was exported").catch((thrown: unknown) => {
      if (!(thrown instanceof TsdbError) || thrown.code !== "DATA_DIR_LOCKED") throw thrown;
      const remedy = "Stop that process, or export with --blocks-only, which leaves out what is only in the log";
      throw new CommandError(exitCodes.failed, thrown.message, remedy);
    });
    progress.clear();
    process.stderr.write(said);
    for (const { ulid, minTime, maxTime, reason } of await quarantinedBlocks({ vfs: realVfs, dataDir }))
      process.stderr.write(
        `tsdb: samples from ${timeText(minTime)} to ${timeText(maxTime)} may be missing: block ${ulid} is set aside, ${reason}\n`,
      );
  } finally {
    progress.clear();
  }
}

async function freshDir(dir: string): Promise<void> {
  // An export that was killed has left it.
  if (await realVfs.exists(dir)) await removeTree(realVfs, dir);
  await realVfs.mkdir(dir);
}

/** @throws CommandError usage */
function partOf({ match, start, end }: Flags): BlockPart | undefined {
  const nowMs = Date.now();
  const selectors = match.map((text): readonly Matcher[] => {
    try {
      return parseMetricSelector(text);
    } catch (thrown) {
      throw new CommandError(exitCodes.usage, `--match is ${JSON.stringify(text)}: ${messageOf(thrown)}`);
    }
  });
  if (selectors.length === 0 && start === undefined && end === undefined) return undefined;
  const mint = start === undefined ? Number.MIN_SAFE_INTEGER : parseTime(start, "--start", nowMs);
  const maxt = end === undefined ? Number.MAX_SAFE_INTEGER : parseTime(end, "--end", nowMs);
  if (mint > maxt) throw new CommandError(exitCodes.usage, "--start is later than --end");
  return { series: (index) => selectedSeries(index, selectors), mint, maxt };
}

function selectedSeries(index: IndexReader, selectors: readonly (readonly Matcher[])[]): Uint32Array {
  if (selectors.length === 0) return index.allPostings();
  const lists = selectors.map((matchers) => matchingSeries(index, matchers, () => undefined));
  return lists.length === 1 ? lists[0]! : Uint32Array.from(new Set(lists.flatMap((ids) => [...ids]))).sort();
}

const contextOf = ({ dataDir, module, signal, progress }: Pick<Work, "dataDir" | "module" | "signal" | "progress">) =>
  jobContext(
    jobEnvironment(dataDir, module),
    () => signal.aborted,
    (made) => progress.update("writing", made),
  );

/** @returns what was done, for standard error */
async function writeText(work: Work, format: TextFormat, path: string | undefined): Promise<string> {
  const { blocks, part, module, progress } = work;
  const { pause } = contextOf(work);
  const memory = new PrivateMemory(module);
  const output = await openOutput(path);
  const sources: BlockSource[] = [];
  try {
    for (const { dir } of blocksOfPart(blocks, part)) {
      await pause();
      sources.push(BlockSource.open(realVfs, dir, memory, part));
    }
    const exported = await exportText(sources, {
      module,
      memory,
      format,
      pause,
      write: (text) => output.write(text),
      onProgress: (count, total) => progress.update("exporting", { done: count, total, unit: "series" }),
    });
    await output.finish();
    const { series, samples, staleLeftOut, histogramsLeftOut } = exported;
    const leftOut = [
      ...(staleLeftOut > 0 ? [`${countOf(staleLeftOut, "stale marker")} left out`] : []),
      ...(histogramsLeftOut > 0 ? [`${countOf(histogramsLeftOut, "native histogram")} left out`] : []),
    ];
    return `${[`${countOf(samples, "sample")} of ${countOf(series, "series")} exported`, ...leftOut].join(", ")}\n`;
  } catch (thrown) {
    await output.abandon();
    throw thrown;
  } finally {
    for (const source of sources) source.close();
  }
}

async function writeBlocks(work: Work, dir: string): Promise<string> {
  const { blocks, part, nextUlid, progress } = work;
  if (await realVfs.exists(dir))
    throw new CommandError(exitCodes.failed, `${dir} is there already`, "Give a directory that does not exist yet");
  const temporary = `${dir.replace(/\/+$/, "")}.tmp`;
  await freshDir(temporary);
  try {
    const exported = await exportBlocks(blocks, {
      context: contextOf(work),
      nextUlid,
      targetDir: temporary,
      part,
      onProgress: (count, total) => progress.update("exporting", { done: count, total, unit: "blocks" }),
    });
    await realVfs.rename(temporary, dir);
    const copied = exported.filter(({ isCopy }) => isCopy).length;
    const samples = exported.reduce((sum, { meta }) => sum + meta.stats.numSamples, 0);
    return `${countOf(exported.length, "block")} with ${countOf(samples, "sample")} exported, ${copied} of them as they were\n`;
  } catch (thrown) {
    await removeTree(realVfs, temporary);
    throw thrown;
  }
}
