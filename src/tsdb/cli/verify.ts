/** `tsdb verify`: reads every byte of a data directory and tells what is not as it was written. */
import type { Command } from "commander";
import { join } from "node:path/posix";
import { systemClock } from "../../base/clock.ts";
import { messageOf, TsdbError } from "../../base/errors.ts";
import { silentLogger } from "../../base/logger.ts";
import { realVfs } from "../../base/vfs.ts";
import { verifyBlock } from "../block/verify-block.ts";
import { readHandOver } from "../db/handover.ts";
import { inspectChunkFiles } from "../head/inspect-chunk-files.ts";
import { blockNames } from "../inspect/list-blocks.ts";
import { loadKernelModule } from "../kernel/load.ts";
import { PrivateMemory } from "../kernel/private-memory.ts";
import { blocksDirOf, QUARANTINE_DIR, sizeOfTree } from "../maintenance/block-dirs.ts";
import { quarantinedBlocks } from "../maintenance/quarantine.ts";
import { inspectLog } from "../wal/inspect.ts";
import { newCommand } from "./command.ts";
import { mustBeDataDir } from "./data-dir.ts";
import { exitCodes, type ExitCode } from "./exit.ts";
import { outputOption, printJson } from "./output-format.ts";
import { Progress } from "./progress.ts";
import { addSettingOptions, configFromOptions } from "./settings-options.ts";
import { printable } from "./table.ts";
import { bytesText, countOf, timeText } from "./units.ts";
import { logFindings, type Finding } from "./wal-findings.ts";

interface Verdict {
  readonly blocks: number;
  readonly segments: number;
  readonly chunkFiles: number;
  readonly bytesRead: number;
  readonly findings: readonly Finding[];
}

export function command(done: (exitCode: ExitCode) => void): Command {
  const program = newCommand("verify", "Check every byte of a data directory against its checksums")
    .addOption(outputOption())
    .addHelpText(
      "after",
      `
Blocks: every file against the manifest, every checksum, the index against the chunks, the samples
against their number and hash. Log: as the next start will read it. Head chunk files: every chunk;
what is damaged there is made again from the log. Hand-over file: its checksum. Nothing is changed,
and no lock is taken: beside a running server, what is being written at the moment is told as a
torn tail.
Exit code 0: all is sound. 3: something is damaged.`,
    )
    .action(async (_options, self: Command) => {
      const { storage, wal } = configFromOptions(self).config;
      mustBeDataDir(storage.dataDir);
      const verdict = await verify(storage.dataDir, wal.dir ?? join(storage.dataDir, "wal"));
      if (self.opts<{ output: string }>().output === "json") printJson(verdict);
      else process.stdout.write(asText(verdict));
      done(verdict.findings.some(({ isDamage }) => isDamage) ? exitCodes.foundProblems : exitCodes.ok);
    });
  return addSettingOptions(program, ["storage.data_dir", "wal.dir"]);
}

async function verify(dataDir: string, walDir: string): Promise<Verdict> {
  const progress = new Progress(process.stderr, systemClock);
  const blocksDir = blocksDirOf({ dataDir });
  const chunkDir = join(dataDir, "chunks_head");
  const names = await blockNames(realVfs, blocksDir);
  const dirs = [...names.map((name) => join(blocksDir, name)), walDir, chunkDir];
  let total = 0;
  for (const dir of dirs) total += await sizeOrNothing(dir);
  let bytesRead = 0;
  const read =
    (what: string) =>
    (bytes: number): void => {
      bytesRead += bytes;
      progress.update(what, { done: bytesRead, total, unit: "bytes" });
    };
  const findings: Finding[] = [];
  const memory = new PrivateMemory(loadKernelModule());
  try {
    for (const ulid of names) findings.push(...(await verifyOne(join(blocksDir, ulid), memory, read(`block ${ulid}`))));
    const onLog = read("write-ahead log");
    let logBytes = 0;
    const report = (await realVfs.exists(walDir))
      ? await inspectLog({
          vfs: realVfs,
          dir: walDir,
          onProgress(doneBytes) {
            onLog(doneBytes - logBytes);
            logBytes = doneBytes;
          },
        })
      : undefined;
    if (report !== undefined) findings.push(...logFindings(walDir, report));
    const log = { ...silentLogger, warn: (_fields: object, message: string) => warnings.push(message) };
    const warnings: string[] = [];
    await readHandOver(realVfs, dataDir, log);
    for (const message of warnings)
      findings.push({ file: join(dataDir, "handover"), offsetBytes: 0, message, isDamage: true });
    const chunkFiles = await inspectChunkFiles(realVfs, chunkDir, read("head chunk files"));
    for (const { isTail, ...finding } of chunkFiles.findings) findings.push({ ...finding, isDamage: !isTail });
    for (const { ulid, minTime, maxTime, reason } of await quarantinedBlocks({ vfs: realVfs, dataDir })) {
      const message = `set aside earlier, ${timeText(minTime)} to ${timeText(maxTime)}: ${reason}`;
      findings.push({ file: join(dataDir, QUARANTINE_DIR, ulid), offsetBytes: 0, message, isDamage: false });
    }
    const segments = report?.segments.length ?? 0;
    return { blocks: names.length, segments, chunkFiles: chunkFiles.files, bytesRead, findings };
  } finally {
    progress.clear();
  }
}

async function verifyOne(dir: string, memory: PrivateMemory, onRead: (bytes: number) => void): Promise<Finding[]> {
  const found = (file: string, offsetBytes: number, message: string): Finding => ({
    file: join(dir, file),
    offsetBytes,
    message,
    isDamage: true,
  });
  try {
    const { damages } = verifyBlock({ vfs: realVfs, dir, memory, check: () => undefined, onRead });
    // A running server may have merged or dropped it meanwhile.
    if (!(await realVfs.exists(dir))) return [];
    return damages.map(({ file, offsetBytes, message }) => found(file, offsetBytes, message));
  } catch (thrown) {
    if (thrown instanceof TsdbError && thrown.code === "INTERNAL") throw thrown;
    return [found("", 0, messageOf(thrown))];
  }
}

const sizeOrNothing = async (dir: string): Promise<number> =>
  (await realVfs.exists(dir)) ? sizeOfTree(realVfs, dir) : 0;

function asText({ blocks, segments, chunkFiles, bytesRead, findings }: Verdict): string {
  const lines = findings.map(
    ({ file, offsetBytes, message, isDamage }) =>
      `${isDamage ? "damaged" : "note"}: ${printable(file)}, byte ${offsetBytes}: ${printable(message)}\n`,
  );
  const damages = findings.filter(({ isDamage }) => isDamage).length;
  const counts = [countOf(blocks, "block"), countOf(segments, "log segment"), countOf(chunkFiles, "head chunk file")];
  const verdict = damages === 0 ? "no damage found" : `${countOf(damages, "damage")} found`;
  return `${lines.join("")}${counts.join(", ")}, ${bytesText(bytesRead)} read: ${verdict}\n`;
}
