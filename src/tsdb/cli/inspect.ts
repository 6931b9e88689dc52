/** `tsdb inspect`: the blocks of a data directory as a table, or what is in one of them. */
import { Option, type Command } from "commander";
import { join } from "node:path/posix";
import { systemClock } from "../../base/clock.ts";
import { realVfs } from "../../base/vfs.ts";
import { BlockReader } from "../block/block-reader.ts";
import { PageCache } from "../index/page-cache.ts";
import { reportBlock, type BlockReport, type NamedCount } from "../inspect/block-report.ts";
import { blockNames, listBlocks, type BlockList, type ListedBlock } from "../inspect/list-blocks.ts";
import { loadKernelModule } from "../kernel/load.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf } from "../maintenance/block-dirs.ts";
import { quarantinedBlocks } from "../maintenance/quarantine.ts";
import type { MissingRange } from "../storage.ts";
import { newCommand } from "./command.ts";
import { dataDirOption, mustBeDataDir } from "./data-dir.ts";
import { CommandError, exitCodes, type ExitCode } from "./exit.ts";
import { outputOption, printJson } from "./output-format.ts";
import { Progress } from "./progress.ts";
import { printable, table } from "./table.ts";
import { bytesText, countOf, countText, timeText } from "./units.ts";

const CACHE_BYTES = 64 * 1024 * 1024;

interface Flags {
  readonly dataDir: string;
  readonly output: string;
  readonly limit: string;
}

export function command(done: (exitCode: ExitCode) => void): Command {
  return newCommand("inspect", "Show the blocks of a data directory, or what is in one of them")
    .argument("[BLOCK]", "the ULID of a block; without it, all blocks are listed")
    .addOption(dataDirOption())
    .addOption(new Option("--limit <NUMBER>", "entries of each list of a block").default("10"))
    .addOption(outputOption())
    .addHelpText(
      "after",
      `
Reads only, takes no lock, and may run beside a server. Exit code 3: a block cannot be read;
\`tsdb verify\` tells all that is damaged.`,
    )
    .action(async (ulid: string | undefined, flags: Flags) => {
      mustBeDataDir(flags.dataDir);
      done(ulid === undefined ? await inspectAll(flags) : await inspectOne(ulid, flags));
    });
}

async function inspectAll({ dataDir, output }: Flags): Promise<ExitCode> {
  const list = await listBlocks(realVfs, blocksDirOf({ dataDir }));
  const quarantined = await quarantinedBlocks({ vfs: realVfs, dataDir });
  if (output === "json") printJson({ ...list, quarantined });
  else process.stdout.write(listText(list, quarantined));
  return list.unreadable.length > 0 ? exitCodes.foundProblems : exitCodes.ok;
}

function listText({ blocks, unreadable }: BlockList, quarantined: readonly MissingRange[]): string {
  const parts: string[] = [];
  if (blocks.length > 0) {
    const header = ["BLOCK", "LEVEL", "FROM", "TO", "SERIES", "SAMPLES", "CHUNKS", "SIZE", "B/SAMPLE", "NOTES"];
    const right = [false, true, false, false, true, true, true, true, true];
    parts.push(table(header, blocks.map(listRow), right));
    const sum = (of: (block: ListedBlock) => number): number => blocks.reduce((total, each) => total + of(each), 0);
    const samples = sum(({ meta }) => meta.stats.numSamples);
    const bytes = sum(({ sizeBytes }) => sizeBytes);
    const each = samples === 0 ? "" : `, ${(bytes / samples).toFixed(2)} B a sample`;
    parts.push(`${countOf(blocks.length, "block")}, ${countOf(samples, "sample")}, ${bytesText(bytes)}${each}\n`);
  }
  for (const { ulid, reason } of unreadable) parts.push(`${ulid} cannot be read: ${printable(reason)}\n`);
  for (const { ulid, minTime, maxTime, reason } of quarantined)
    parts.push(`${ulid} is set aside, ${timeText(minTime)} to ${timeText(maxTime)}: ${printable(reason)}\n`);
  return parts.length === 0 ? "There are no blocks.\n" : parts.join("");
}

function listRow({ meta, sizeBytes, tombstones, hasManifest, overlaps }: ListedBlock): string[] {
  const { numSeries, numSamples, numChunks } = meta.stats;
  const notes = [
    ...(overlaps.length > 0 ? [`overlaps ${overlaps.join(" ")}`] : []),
    ...(tombstones > 0 ? [countOf(tombstones, "tombstone")] : []),
    ...(hasManifest ? [] : ["no manifest"]),
  ];
  return [
    meta.ulid,
    String(meta.compaction.level),
    timeText(meta.minTime),
    timeText(meta.maxTime),
    countText(numSeries),
    countText(numSamples),
    countText(numChunks),
    bytesText(sizeBytes),
    numSamples === 0 ? "-" : (sizeBytes / numSamples).toFixed(2),
    notes.join(", "),
  ];
}

async function inspectOne(ulid: string, { dataDir, output, limit }: Flags): Promise<ExitCode> {
  if (!/^[1-9]\d{0,5}$/.test(limit))
    throw new CommandError(exitCodes.usage, `--limit is ${JSON.stringify(limit)}: expected a number from 1 on`);
  const blocksDir = blocksDirOf({ dataDir });
  // A name from the list, and nothing that merely leads to a directory.
  if (!(await blockNames(realVfs, blocksDir)).includes(ulid))
    throw new CommandError(
      exitCodes.failed,
      `there is no block ${JSON.stringify(ulid)} in ${blocksDir}`,
      "`tsdb inspect` without a block lists those there are",
    );
  const progress = new Progress(process.stderr, systemClock);
  const block = BlockReader.open(realVfs, join(blocksDir, ulid), new PageCache(CACHE_BYTES));
  try {
    const report = reportBlock(block, {
      memory: new PrivateMemory(loadKernelModule()),
      limit: Number(limit),
      onProgress: (count, total) => progress.update(`reading ${ulid}`, { done: count, total, unit: "series" }),
    });
    progress.clear();
    const { meta, manifest } = block;
    const tombstones = block.readTombstones();
    const deleted = { intervals: tombstones.intervalCount, series: tombstones.seriesCount };
    if (output === "json") printJson({ meta, manifest, tombstones: deleted, ...report });
    else process.stdout.write(blockText(block, deleted, report));
    return exitCodes.ok;
  } finally {
    progress.clear();
    block.close();
  }
}

function blockText(
  { meta, manifest }: BlockReader,
  deleted: { readonly intervals: number; readonly series: number },
  report: BlockReport,
): string {
  const { stats, compaction } = meta;
  const facts: [string, string][] = [
    ["Block", meta.ulid],
    ["From", timeText(meta.minTime)],
    ["To", `${timeText(meta.maxTime)} (exclusive)`],
    ["Level", String(compaction.level)],
    [
      "Sources",
      `${compaction.sources.length}: ${compaction.sources.slice(0, 4).join(" ")}${compaction.sources.length > 4 ? " ..." : ""}`,
    ],
    ["Series", countText(report.series)],
    ["Label pairs", countText(report.labelPairs)],
    ["Samples", countText(stats.numSamples)],
    ["Chunks", countText(stats.numChunks)],
    ["Index", bytesText(report.indexBytes)],
    ["Chunk files", bytesText(report.chunkFileBytes)],
    ["Tombstones", `${countText(deleted.intervals)} of ${countOf(deleted.series, "series")}`],
    ["Manifest", manifest === undefined ? "none" : `sample hash ${manifest.samples.hash}`],
  ];
  const kinds = report.chunkKinds.map(({ name, chunks, samples, bytes }) => [
    name,
    countText(chunks),
    countText(samples),
    bytesText(bytes),
    samples === 0 ? "-" : (bytes / samples).toFixed(2),
    chunks === 0 ? "-" : (samples / chunks).toFixed(1),
  ]);
  const labels = report.labels.map(({ name, values, series, valueBytes }) => [
    printable(name),
    countText(values),
    countText(series),
    bytesText(valueBytes),
  ]);
  return [
    table(["", ""], facts).trimStart(),
    table(["CHUNKS", "COUNT", "SAMPLES", "SIZE", "B/SAMPLE", "SAMPLES/CHUNK"], kinds, [false, ...rest(5)]),
    table(["LABEL", "VALUES", "SERIES", "SIZE"], labels, [false, ...rest(3)]),
    topTable("SERIES BY METRIC", report.seriesCountByMetricName),
    topTable("SERIES BY LABEL VALUE", report.seriesCountByLabelValuePair),
    topTable("VALUES BY LABEL", report.labelValueCountByLabelName),
    topTable("BYTES OF VALUES BY LABEL, IN ALL SERIES", report.memoryInBytesByLabelName),
  ].join("\n");
}

const rest = (count: number): boolean[] => Array.from({ length: count }, () => true);

const topTable = (title: string, counts: readonly NamedCount[]): string =>
  table(
    [title, "COUNT"],
    counts.map(({ name, value }) => [printable(name), countText(value)]),
    [false, true],
  );
