/** `tsdb inspect-wal`: what a write-ahead log holds, and whether the next start will find all of it. */
import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { realVfs } from "../../base/vfs.ts";
import { segmentName } from "../wal/format.ts";
import { inspectLog, type LogReport, type SegmentReport } from "../wal/inspect.ts";
import { newCommand } from "./command.ts";
import { mustBeDirectory } from "./data-dir.ts";
import { exitCodes, type ExitCode } from "./exit.ts";
import { outputOption, printJson } from "./output-format.ts";
import { Progress } from "./progress.ts";
import { table } from "./table.ts";
import { bytesText, countOf, countText, timeText } from "./units.ts";
import { logFindings, type Finding } from "./wal-findings.ts";

export function command(done: (exitCode: ExitCode) => void): Command {
  return newCommand("inspect-wal", "Show what a write-ahead log holds and what is damaged in it")
    .argument("<DIR>", "the directory of the log, such as data/wal")
    .addOption(outputOption())
    .addHelpText(
      "after",
      `
Reads the log as the next start will, and changes nothing. It takes no lock: beside a running
server, what is being written at the moment looks like a torn tail. Exit code 3: records are lost.`,
    )
    .action(async (dir: string, { output }: { output: string }) => {
      mustBeDirectory(dir, "the log directory", "It is `wal` in the data directory, or what wal.dir says");
      const report = await read(dir);
      const findings = logFindings(dir, report);
      if (output === "json") printJson({ ...report, findings });
      else process.stdout.write(asTable(report, findings));
      done(findings.some(({ isDamage }) => isDamage) ? exitCodes.foundProblems : exitCodes.ok);
    });
}

async function read(dir: string): Promise<LogReport> {
  const progress = new Progress(process.stderr, systemClock);
  try {
    return await inspectLog({
      vfs: realVfs,
      dir,
      onProgress(done, total) {
        progress.update(`reading ${dir}`, { done, total, unit: "bytes" });
      },
    });
  } finally {
    progress.clear();
  }
}

function asTable({ segments, lastSequence }: LogReport, findings: readonly Finding[]): string {
  if (segments.length === 0) return "The log is empty.\n";
  const header = ["SEGMENT", "SIZE", "RECORDS", "SEQUENCES", "SERIES", "SAMPLES", "FROM", "TO", "END"];
  const rows = segments.map((segment) => [
    segmentName(segment.index),
    bytesText(segment.sizeBytes),
    countText(segment.records),
    segment.lastSequence === undefined ? "-" : `${segment.firstSequence}-${segment.lastSequence}`,
    countText(segment.series),
    countText(segment.samples),
    segment.mint === undefined ? "-" : timeText(segment.mint),
    segment.maxt === undefined ? "-" : timeText(segment.maxt),
    endText(segment),
  ]);
  const sum = (of: (segment: SegmentReport) => number): number => segments.reduce((total, each) => total + of(each), 0);
  const total = `${countOf(segments.length, "segment")}, ${bytesText(sum(({ sizeBytes }) => sizeBytes))}, ${countOf(
    sum(({ records }) => records),
    "record",
  )}, ${countOf(
    sum(({ samples }) => samples),
    "sample",
  )}, last sequence ${lastSequence}`;
  const right = [false, true, true, false, true, true];
  const lines = findings.map(({ file, offsetBytes, message }) => `${file}, byte ${offsetBytes}: ${message}\n`);
  return `${table(header, rows, right)}\n${total}\n${lines.join("")}`;
}

function endText({ mark, damage }: SegmentReport): string {
  if (damage !== undefined) return `damaged at byte ${damage.offsetBytes}`;
  return mark === undefined ? "open" : "closed";
}
