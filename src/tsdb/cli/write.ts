/** `tsdb write`: samples from the arguments or from standard input, as JSON write requests. */
import type { Command } from "commander";
import { createInterface } from "node:readline";
import { newCommand } from "./command.ts";
import { post, urlOption } from "./client.ts";
import { CommandError, exitCodes, type ExitCode } from "./exit.ts";
import { isTimestamp, parseSampleLine, SampleLineError, type SampleLine } from "./sample-line.ts";

const SAMPLES_PER_REQUEST = 1000;

export function command(done: (exitCode: ExitCode) => void): Command {
  return newCommand("write", "Write samples to a running database")
    .argument("[SAMPLE]", `such as 'cpu{host="a"} 0.85'; without it, lines of that form are read from standard input`)
    .argument("[TIMESTAMP]", "milliseconds since 1970 (default: now)")
    .addOption(urlOption())
    .addHelpText(
      "after",
      `
Examples:
  tsdb write 'cpu{host="a"} 0.85'
  tsdb write 'cpu{host="a"} 0.85' 1732450000000
  curl -s http://localhost:9100/metrics | tsdb write`,
    )
    .action(async (sample: string | undefined, timestamp: string | undefined, { url }: { url: string }) => {
      const written =
        sample === undefined || sample === "-" ? await writeStdin(url) : await writeOne(url, sample, timestamp);
      process.stdout.write(`${countText(written)} written\n`);
      done(exitCodes.ok);
    });
}

async function writeOne(url: string, text: string, timestamp: string | undefined): Promise<number> {
  if (timestamp !== undefined && !isTimestamp(timestamp))
    throw new CommandError(
      exitCodes.usage,
      `the timestamp is ${JSON.stringify(timestamp)}: expected whole milliseconds since 1970`,
    );
  const sample = parse(text, (column, message) => `${text}\n${" ".repeat(column - 1)}^ ${message}`);
  if (timestamp !== undefined && sample.timestampMs !== undefined)
    throw new CommandError(exitCodes.usage, "the timestamp is given twice: in the sample and after it");
  await post(url, request([sample], timestamp === undefined ? Date.now() : Number(timestamp)));
  return 1;
}

async function writeStdin(url: string): Promise<number> {
  if (process.stdin.isTTY)
    throw new CommandError(exitCodes.usage, `expected a sample, such as: tsdb write 'cpu{host="a"} 0.85'`);
  const nowMs = Date.now();
  let written = 0;
  const refusals: Refusal[] = [];
  let batch: SampleLine[] = [];
  const send = async (): Promise<void> => {
    try {
      await post(url, request(batch, nowMs));
      written += batch.length;
    } catch (thrown) {
      const refusal = refusalOf(thrown);
      if (refusal === undefined) throw withProgress(thrown, written);
      written += refusal.storedCount;
      refusals.push(refusal);
    }
    batch = [];
  };

  let lineNumber = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    lineNumber++;
    if (/^\s*(#|$)/.test(line)) continue; // HELP, TYPE and other comments, blank lines
    const before = written;
    batch.push(
      parse(line, (column, message) => {
        const fate = before === 0 ? "nothing was written" : `only the first ${before} samples were written`;
        return `stdin:${lineNumber}:${column}: ${message} (${fate})`;
      }),
    );
    if (batch.length === SAMPLES_PER_REQUEST) await send();
  }
  if (batch.length > 0) await send();
  if (refusals.length > 0) {
    const refused = refusals.reduce((sum, { refusedCount }) => sum + refusedCount, 0);
    throw new CommandError(
      exitCodes.failed,
      `${countText(written)} written, ${refused} refused: ${refusals[0]!.reasons}`,
    );
  }
  return written;
}

/** What the server refused of a request for good; it keeps the others, and the next request may be all good. */
interface Refusal {
  readonly storedCount: number;
  readonly refusedCount: number;
  readonly reasons: string;
}

function refusalOf(thrown: unknown): Refusal | undefined {
  if (!(thrown instanceof CommandError) || thrown.exitCode !== exitCodes.failed) return undefined;
  const [, stored, refused, reasons] = /^(\d+) samples? stored, (\d+) refused: (.*)$/s.exec(thrown.message) ?? [];
  if (reasons === undefined) return undefined;
  return { storedCount: Number(stored), refusedCount: Number(refused), reasons };
}

function withProgress(thrown: unknown, written: number): unknown {
  if (!(thrown instanceof CommandError) || written === 0) return thrown;
  return new CommandError(
    thrown.exitCode,
    `${thrown.message} (${countText(written)} before were written)`,
    thrown.remedy,
  );
}

const countText = (count: number): string => `${count} ${count === 1 ? "sample" : "samples"}`;

function parse(line: string, explain: (column: number, message: string) => string): SampleLine {
  try {
    return parseSampleLine(line);
  } catch (thrown) {
    if (!(thrown instanceof SampleLineError)) throw thrown;
    throw new CommandError(exitCodes.usage, explain(thrown.column, thrown.message));
  }
}

const request = (samples: readonly SampleLine[], nowMs: number) => ({
  path: "/api/v1/write",
  contentType: "application/json" as const,
  body: writeBody(samples, nowMs),
});

/** The JSON write request. Values are put together by hand: JSON.stringify turns -0 into 0 and NaN into null. */
export function writeBody(samples: readonly SampleLine[], nowMs: number): string {
  const series = samples.map(
    ({ labels, value, timestampMs }) =>
      `{"labels":${JSON.stringify(labels)},"samples":[{"timestamp":${timestampMs ?? nowMs},"value":${jsonValue(value)}}]}`,
  );
  return `{"timeseries":[${series.join(",")}]}`;
}

function jsonValue(value: number): string {
  if (Number.isNaN(value)) return '"NaN"';
  if (!Number.isFinite(value)) return value > 0 ? '"+Inf"' : '"-Inf"';
  return Object.is(value, -0) ? "-0" : String(value);
}
