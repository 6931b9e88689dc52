/** `tsdb compact`: merges the blocks of a data directory whose server is stopped, as the server would in the background. */
import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import { realVfs } from "../../base/vfs.ts";
import type { BlockMeta } from "../block/meta.ts";
import { compactionRanges, planCompaction, type CompactionPlan } from "../compact/plan.ts";
import type { Config } from "../config.ts";
import { defaultReserve } from "../db/disk-space.ts";
import { loadKernelModule } from "../kernel/load.ts";
import { compact } from "../maintenance/compact.ts";
import { jobContext, type JobContext } from "../maintenance/job-context.ts";
import { load } from "../maintenance/load.ts";
import type { JobProgress, LoadedBlock } from "../maintenance/protocol.ts";
import { removeBlocks, blocksDirOf } from "../maintenance/block-dirs.ts";
import type { MissingRange } from "../storage.ts";
import { newCommand } from "./command.ts";
import { withLock } from "./data-dir.ts";
import { exitCodes, type ExitCode } from "./exit.ts";
import { interruptible } from "./interrupt.ts";
import { jobEnvironment } from "./job-environment.ts";
import { outputOption, printJson } from "./output-format.ts";
import { Progress } from "./progress.ts";
import { addSettingOptions, configFromOptions } from "./settings-options.ts";
import { printable, table } from "./table.ts";
import { bytesText, countOf, countText } from "./units.ts";

const BLOCK_RANGE_MS = 2 * 3_600_000;

interface Merge {
  readonly reason: CompactionPlan["reason"];
  readonly sources: readonly string[];
  readonly sourceBytes: number;
  /** null: nothing was left. */
  readonly block: BlockMeta | null;
  readonly bytes: number;
}

interface Failure {
  readonly sources: readonly string[];
  readonly message: string;
}

interface Outcome {
  readonly merges: readonly Merge[];
  readonly failures: readonly Failure[];
  readonly blocks: number;
  /** Set aside because they cannot be read, now or before. */
  readonly quarantined: readonly MissingRange[];
}

export function command(done: (exitCode: ExitCode) => void): Command {
  const program = newCommand("compact", "Merge the blocks of a data directory whose server is stopped")
    .addOption(outputOption())
    .addHelpText(
      "after",
      `
Merges what the server would merge in the background, until nothing is left to merge: blocks that
overlap, then neighbours, up to a tenth of the retention or 31 days. The command takes the lock of
the data directory. Sources go only when the merged block was read back and has all samples; it may
be stopped (Ctrl-C) or killed at any time. What is in the write-ahead log stays there.
Exit code 3: a block is damaged; the others were merged.`,
    )
    .action(async (_options, self: Command) => {
      const { storage } = configFromOptions(self).config;
      const progress = new Progress(process.stderr, systemClock);
      const outcome = await interruptible(
        (signal) => withLock(storage.dataDir, "is an error", () => run(storage, signal, progress)),
        "what was merged so far stays merged, everything else is as it was",
      ).finally(() => progress.clear());
      if (self.opts<{ output: string }>().output === "json") printJson(outcome);
      else process.stdout.write(asText(outcome));
      for (const { sources, message } of outcome.failures)
        process.stderr.write(`tsdb: cannot merge ${sources.join(", ")}: ${printable(message)}\n`);
      done(outcome.failures.length > 0 ? exitCodes.foundProblems : exitCodes.ok);
    });
  return addSettingOptions(program, [
    "storage.data_dir",
    "storage.retention",
    "storage.disk_reserve",
    "storage.packed",
  ]);
}

async function run(storage: Config["storage"], signal: AbortSignal, progress: Progress): Promise<Outcome> {
  const { dataDir, diskReserveBytes } = storage;
  const reserveBytes =
    diskReserveBytes === "auto" ? defaultReserve((await realVfs.space(dataDir)).totalBytes) : diskReserveBytes;
  let what = "opening blocks";
  const context = jobContext(
    jobEnvironment(dataDir, loadKernelModule()),
    () => signal.aborted,
    (made: JobProgress) => progress.update(what, made),
  );
  const loaded = await load({ kind: "load" }, context);
  const blocks = new Map(loaded.blocks.map((block) => [block.meta.ulid, block]));
  const merges: Merge[] = [];
  const failures: Failure[] = [];
  const excluded = new Set<string>();
  const rangesMs = compactionRanges(BLOCK_RANGE_MS, storage.retentionMs);
  const metas = (): BlockMeta[] => Array.from(blocks.values(), ({ meta }) => meta);
  for (let plan = planCompaction(metas(), { rangesMs, excluded }); plan !== undefined;) {
    const sources = plan.sources.map(({ ulid }) => ulid);
    what = `merging ${countOf(sources.length, "block")}`;
    try {
      const merged = await merge(context, sources, storage.packed === "on", reserveBytes);
      const sourceBytes = sources.reduce((sum, ulid) => sum + blocks.get(ulid)!.sizeBytes, 0);
      for (const ulid of sources) blocks.delete(ulid);
      if (merged !== undefined) blocks.set(merged.meta.ulid, merged);
      const block = merged?.meta ?? null;
      merges.push({ reason: plan.reason, sources, sourceBytes, block, bytes: merged?.sizeBytes ?? 0 });
    } catch (thrown) {
      if (!(thrown instanceof TsdbError) || thrown.code !== "BLOCK_CORRUPT") throw thrown;
      failures.push({ sources, message: messageOf(thrown) });
      for (const ulid of sources) excluded.add(ulid);
    }
    plan = planCompaction(metas(), { rangesMs, excluded });
  }
  return { merges, failures, blocks: blocks.size, quarantined: loaded.quarantined };
}

/** Nobody else reads the directory: the sources go at once. */
async function merge(
  context: JobContext,
  sources: readonly string[],
  packed: boolean,
  reserveBytes: number,
): Promise<LoadedBlock | undefined> {
  const { block } = await compact({ kind: "compact", sources, packed, reserveBytes }, context);
  await removeBlocks(context.vfs, blocksDirOf(context), sources);
  return block;
}

function asText({ merges, blocks, quarantined }: Outcome): string {
  const rows = merges.map(({ reason, sources, sourceBytes, block, bytes }) => [
    reason,
    String(sources.length),
    bytesText(sourceBytes),
    block?.ulid ?? "-",
    block === null ? "-" : String(block.compaction.level),
    countText(block?.stats.numSamples ?? 0),
    bytesText(bytes),
  ]);
  const header = ["REASON", "BLOCKS", "SIZE", "MERGED", "LEVEL", "SAMPLES", "SIZE"];
  const listed = rows.length > 0 ? table(header, rows, [false, true, true, false, true, true, true]) : "";
  const aside = quarantined.length > 0 ? `, ${countText(quarantined.length)} set aside as damaged` : "";
  return `${listed}${countOf(merges.length, "merge")} done, ${countOf(blocks, "block")} now${aside}\n`;
}
