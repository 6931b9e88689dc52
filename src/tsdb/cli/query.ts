/** `tsdb query`: an instant query as a table, a range query as a plot or a table, both as JSON or CSV. */
import { Option, type Command } from "commander";
import type { WriteStream } from "node:tty";
import { z } from "zod";
import { post, urlOption } from "./client.ts";
import { newCommand } from "./command.ts";
import { parseDuration, parseTime } from "./time-option.ts";
import { CommandError, exitCodes, type ExitCode } from "./exit.ts";
import { plot } from "./plot.ts";
import { csv, printable, table } from "./table.ts";

interface QueryOptions {
  readonly url: string;
  readonly time?: string;
  readonly start?: string;
  readonly end?: string;
  readonly step?: string;
  readonly range?: string;
  readonly output: "table" | "json" | "csv";
  readonly plot: "auto" | "on" | "off";
}

export function command(done: (exitCode: ExitCode) => void): Command {
  return newCommand("query", "Run a PromQL query on a running database")
    .argument("<EXPR>", "the expression, such as 'rate(http_requests_total[5m])'")
    .addOption(urlOption())
    .option("--time <TIME>", "instant query at this time (default: now)")
    .option("--range <DURATION>", "range query over this long, up to --end, such as 1h")
    .option("--start <TIME>", "range query from this time on")
    .option("--end <TIME>", "range query up to this time (default: now)")
    .option("--step <DURATION>", "time between two points of a range query (default: fits the width)")
    .addOption(new Option("-o, --output <FORMAT>", "how to print").choices(["table", "json", "csv"]).default("table"))
    .addOption(
      new Option("--plot <WHEN>", "draw a range query instead of a table")
        .choices(["auto", "on", "off"])
        .default("auto"),
    )
    .addHelpText("after", "\nA TIME is RFC 3339 (2026-01-31T12:00:00Z), seconds since 1970, now, or now-1h.")
    .action(async (expression: string, options: QueryOptions) => {
      const nowMs = Date.now();
      const range = rangeOf(options, nowMs);
      const parameters: Record<string, string> = range
        ? { query: expression, start: seconds(range.startMs), end: seconds(range.endMs), step: seconds(range.stepMs) }
        : { query: expression, time: seconds(parseTime(options.time ?? "now", "--time", nowMs)) };
      const text = await post(options.url, {
        path: range ? "/api/v1/query_range" : "/api/v1/query",
        contentType: "application/x-www-form-urlencoded",
        body: new URLSearchParams(parameters).toString(),
      }).catch((thrown: unknown) => {
        throw pointingInto(expression, thrown);
      });
      process.stdout.write(
        options.output === "json" ? `${text.trimEnd()}\n` : render(parseAnswer(text), options, range),
      );
      done(exitCodes.ok);
    });
}

/** A parse error below the place in the expression that it is about. */
function pointingInto(expression: string, thrown: unknown): unknown {
  if (!(thrown instanceof CommandError) || expression.includes("\n")) return thrown;
  const [, column, complaint] = /^1:(\d+): parse error: (.*)$/s.exec(thrown.message) ?? [];
  if (column === undefined) return thrown;
  return new CommandError(thrown.exitCode, `${expression}\n${" ".repeat(Number(column) - 1)}^ ${complaint}`);
}

interface Range {
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
}

function rangeOf({ time, start, end, step, range }: QueryOptions, nowMs: number): Range | undefined {
  if (start === undefined && range === undefined) {
    if (end === undefined && step === undefined) return undefined;
    throw new CommandError(exitCodes.usage, `--${end === undefined ? "step" : "end"} needs --start or --range`);
  }
  if (time !== undefined)
    throw new CommandError(exitCodes.usage, "--time is for an instant query; leave it out, or --start and --range");
  if (start !== undefined && range !== undefined)
    throw new CommandError(exitCodes.usage, "--start and --range exclude each other");
  const endMs = end === undefined ? nowMs : parseTime(end, "--end", nowMs);
  const startMs = start === undefined ? endMs - parseDuration(range!, "--range") : parseTime(start, "--start", nowMs);
  if (startMs > endMs) throw new CommandError(exitCodes.usage, "--start is later than --end");
  const stepMs = step === undefined ? fittingStepMs(endMs - startMs) : parseDuration(step, "--step");
  return { startMs, endMs, stepMs };
}

const niceStepsMs = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400].map(
  (s) => s * 1000,
);

/** The smallest round step that gives no more points than a plot has columns of dots. */
function fittingStepMs(spanMs: number): number {
  const pointsMax = Math.max(40, terminal().columns * 2);
  return (
    niceStepsMs.find((stepMs) => spanMs / stepMs <= pointsMax) ??
    Math.ceil(spanMs / pointsMax / 86_400_000) * 86_400_000
  );
}

const seconds = (ms: number): string => String(ms / 1000);

const point = z.tuple([z.number(), z.string()]);
const labels = z.record(z.string(), z.string());
const answerSchema = z.object({
  warnings: z.array(z.string()).optional(),
  infos: z.array(z.string()).optional(),
  data: z.discriminatedUnion("resultType", [
    z.object({ resultType: z.literal("scalar"), result: point }),
    z.object({ resultType: z.literal("string"), result: point }),
    z.object({ resultType: z.literal("vector"), result: z.array(z.object({ metric: labels, value: point })) }),
    z.object({
      resultType: z.literal("matrix"),
      result: z.array(z.object({ metric: labels, values: z.array(point) })),
    }),
  ]),
});

/** Result of either query: rows of one series each; a scalar is a series without labels. */
interface Answer {
  readonly resultType: "scalar" | "string" | "vector" | "matrix";
  readonly series: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly points: readonly [number, string][];
  }[];
}

function parseAnswer(text: string): Answer {
  let parsed: ReturnType<typeof answerSchema.safeParse> | undefined;
  try {
    parsed = answerSchema.safeParse(JSON.parse(text));
  } catch {
    // Told below: what is no JSON is no answer of ours either.
  }
  if (!parsed?.success)
    throw new CommandError(
      exitCodes.failed,
      "the server's answer is not that of a Prometheus query API",
      "Check --url or TSDB_URL",
    );
  const { data, warnings = [], infos = [] } = parsed.data;
  for (const note of [...warnings, ...infos]) process.stderr.write(`tsdb: ${printable(note)}\n`);
  switch (data.resultType) {
    case "scalar":
    case "string":
      return { resultType: data.resultType, series: [{ metric: {}, points: [data.result] }] };
    case "vector":
      return { resultType: "vector", series: data.result.map(({ metric, value }) => ({ metric, points: [value] })) };
    case "matrix":
      return { resultType: "matrix", series: data.result.map(({ metric, values }) => ({ metric, points: values })) };
  }
}

function render({ resultType, series }: Answer, options: QueryOptions, range: Range | undefined): string {
  if (options.output === "csv") return asCsv(series);
  if (series.length === 0) return "No series match.\n";
  if (range && options.plot !== "off") {
    const { columns, rows, color } = terminal();
    const lines = series.map(({ metric, points }) => ({
      name: seriesText(metric),
      timesMs: points.map(([time]) => time * 1000),
      values: points.map(([, value]) => Number(value.replace("Inf", "Infinity"))),
    }));
    return plot(lines, { columns, rows: Math.min(20, Math.max(8, rows - 6)), color, ...range });
  }
  if (resultType === "scalar" || resultType === "string") return `${printable(series[0]!.points[0]![1])}\n`;
  const rows = series.flatMap(({ metric, points }) =>
    points.map(([time, value]) => [seriesText(metric), ...(resultType === "matrix" ? [timeText(time)] : []), value]),
  );
  return resultType === "matrix"
    ? table(["SERIES", "TIME", "VALUE"], rows, [false, false, true])
    : table(["SERIES", "VALUE"], rows, [false, true]);
}

function asCsv(series: Answer["series"]): string {
  const names = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = series.flatMap(({ metric, points }) =>
    points.map(([time, value]) => [...names.map((name) => metric[name] ?? ""), timeText(time), value]),
  );
  return csv([...names, "timestamp", "value"], rows);
}

const timeText = (time: number): string => new Date(time * 1000).toISOString();

/** A label set in PromQL's notation, `{}` when it is empty. */
function seriesText({ __name__: name = "", ...others }: Readonly<Record<string, string>>): string {
  const isPlain = /^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(name);
  const pairs = Object.entries(others)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([label, value]) => `${/^[a-zA-Z_]\w*$/.test(label) ? label : JSON.stringify(label)}=${JSON.stringify(value)}`,
    );
  const inside = isPlain ? pairs : [JSON.stringify(name), ...pairs];
  return printable(`${isPlain ? name : ""}${inside.length > 0 || name === "" ? `{${inside.join(",")}}` : ""}`);
}

/** A pipe or file has no size: it is printed to as if it were a terminal of the usual one. */
function terminal({ isTTY = false, columns = 80, rows = 24 }: Partial<WriteStream> = process.stdout) {
  return { columns, rows, color: isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb" };
}
