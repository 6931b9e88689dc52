/** What a benchmark hands back, and how it is printed. */
import type { Verdict } from "./budgets.ts";
import type { Environment } from "./environment.ts";

export interface Row {
  readonly [column: string]: string | number;
}

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Outcome {
  readonly sections: readonly Section[];
  readonly verdicts: readonly Verdict[];
  /** What a reader must know to read the figures. */
  readonly notes: readonly string[];
}

export interface Benchmark {
  readonly name: string;
  /** The one question that it answers. */
  readonly question: string;
  run(options: BenchOptions): Promise<Outcome>;
}

export interface BenchOptions {
  /** About a minute, to see that it works; its figures are not worth keeping. */
  readonly isQuick: boolean;
  readonly rounds: number | undefined;
  readonly connections: number;
  readonly requestSizes: readonly number[];
  /** Names, or beginnings of names, of the servers to run; all when empty. */
  readonly servers: readonly string[];
  /** Where Node is to leave CPU profiles of our server. */
  readonly profileDir: string | undefined;
  /** Says what is going on. */
  readonly progress: (text: string) => void;
}

export function printOutcome({ sections, verdicts, notes }: Outcome, { commit, machine, node }: Environment): void {
  printSections(sections);
  if (verdicts.length > 0) console.log(`\nBudgets\n${verdicts.map(({ text }) => `  ${text}`).join("\n")}`);
  console.log("");
  for (const note of notes) console.log(note);
  console.log(`machine: ${machine}; Node ${node}; commit ${commit}`);
}

export function printSections(sections: readonly Section[]): void {
  for (const { title, rows } of sections) console.log(`\n${title}\n${tableText(rows)}`);
}

/** Columns in the order in which rows first name them; numbers to the right. */
function tableText(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => cellText(row[column] ?? "")));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((cell) => cell[i]!.length)));
  const isText = columns.map((column) => typeof rows[0]?.[column] === "string");
  const line = (texts: readonly string[]) =>
    texts.map((text, i) => (isText[i] ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join("  ");
  return [columns, ...cells].map((texts) => `  ${line(texts)}`.trimEnd()).join("\n");
}

const cellText = (value: string | number): string => (typeof value === "string" ? value : numberText(value));

/** Three significant digits, but whole numbers whole. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return value.toPrecision(3);
}
