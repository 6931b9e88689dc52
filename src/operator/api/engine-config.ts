/**
 * Settings of the engine in a spec: `spec.config`. Each key is a setting of src/tsdb/config/settings.ts under the name that
 * users know from the command line, in camel case; what the operator itself decides (directories, addresses, retention) is
 * not among them.
 */
import { z } from "zod";
import { spelt, withRules } from "./rules.ts";

export interface EngineKey {
  /** In the engine's file: section and key. */
  readonly setting: string;
  readonly schema: z.ZodType;
}

const SIZE_PATTERN = /^[0-9]{1,15}(\.[0-9]{1,3})?([kKmMgG][iI]?[bB]?|[bB])?$/;
const DURATION_PATTERN = /^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,12}ms)?$/;

const duration = (what: string) =>
  withRules(
    spelt(
      z.string().min(2).max(32).describe(`${what}, such as 30s or 1h30m.`),
      DURATION_PATTERN,
      "must be a duration such as 30s or 1h30m",
    ),
    {
      cel: "self.matches('[1-9]')",
      message: "must be longer than 0",
      holds: (value) => /[1-9]/.test(value),
    },
  );
const size = (what: string) =>
  spelt(
    z.string().min(1).max(32).describe(`${what}, such as 256MB.`),
    SIZE_PATTERN,
    "must be a size such as 256MB or 1GB",
  );
const count = (what: string, min: number, max: number) => z.number().int().min(min).max(max).describe(`${what}.`);
const choice = <const C extends readonly [string, ...string[]]>(what: string, choices: C) =>
  z.enum(choices).describe(`${what}.`);

/** By the name in a spec. Only keys that the two releases before this one know, too. */
export const engineKeys = {
  memtableSize: { setting: "storage.memtable_size", schema: size("Memory that the newest samples may take") },
  outOfOrderWindow: { setting: "storage.out_of_order_window", schema: duration("How late a sample may come") },
  walSync: {
    setting: "wal.sync",
    schema: choice("When a write is answered: once it is on disk, or before", ["always", "interval"]),
  },
  walSyncInterval: { setting: "wal.sync_interval", schema: duration("Between two syncs when walSync is interval") },
  walSegmentSize: { setting: "wal.segment_size", schema: size("Size of a segment of the write-ahead log") },
  compactionInterval: { setting: "compaction.interval", schema: duration("Between two looks for blocks to merge") },
  compactionConcurrency: { setting: "compaction.concurrency", schema: count("Merges at once", 1, 64) },
  queryTimeout: { setting: "query.timeout", schema: duration("Time after which a query is stopped") },
  queryMaxConcurrency: { setting: "query.max_concurrency", schema: count("Queries at once", 1, 1024) },
  queryMaxSamples: { setting: "query.max_samples", schema: count("Samples of one query", 1, 1_000_000_000) },
  queryMaxSeries: { setting: "query.max_series", schema: count("Series of one query", 1, 1_000_000_000) },
  queryMaxMemory: { setting: "query.max_memory", schema: size("Memory of one query") },
  maxLabelsPerSeries: { setting: "limits.max_labels_per_series", schema: count("Labels of one series", 1, 1000) },
  maxLabelNameLength: { setting: "limits.max_label_name_length", schema: count("Bytes of a label name", 1, 65_535) },
  maxLabelValueLength: { setting: "limits.max_label_value_length", schema: count("Bytes of a label value", 1, 65_535) },
  maxSeriesPerRequest: {
    setting: "limits.max_series_per_request",
    schema: count("Series of one write request", 1, 50_000),
  },
  logLevel: {
    setting: "logging.level",
    schema: choice("Least serious messages that are logged", ["debug", "info", "warn", "error"]),
  },
  logFormat: { setting: "logging.format", schema: choice("json, or text for people", ["json", "text"]) },
} as const satisfies Readonly<Record<string, EngineKey>>;

type EngineKeys = typeof engineKeys;

export const engineConfig = z
  .object(
    Object.fromEntries(Object.entries(engineKeys).map(([name, { schema }]) => [name, schema.optional()])) as {
      [Name in keyof EngineKeys]: z.ZodOptional<EngineKeys[Name]["schema"]>;
    },
  )
  .describe("Settings of the engine; absent ones have its defaults.");
