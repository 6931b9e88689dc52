import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  allSettings,
  formatOrigin,
  loadConfig,
  reloaded,
  toYaml,
  variableOf,
  type ConfigSources,
} from "../../src/tsdb/config.ts";
import type { NamedSetting } from "../../src/tsdb/config/settings.ts";

const dir = mkdtempSync(join(tmpdir(), "tsdb-config-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let files = 0;
function fileWith(text: string): string {
  const path = join(dir, `${++files}.yaml`);
  writeFileSync(path, text);
  return path;
}

const load = (sources: Partial<ConfigSources>) =>
  loadConfig({
    flags: new Map(),
    env: {},
    file: undefined,
    surroundings: { coreCount: 2, isTerminal: false },
    nowMs: 0,
    ...sources,
  });

/** Three values of a setting, none of them its default, as a user might write them. */
function samples({ kind, key }: NamedSetting): readonly [string, string, string] {
  const ofKind: Readonly<Record<string, readonly [string, string, string]>> = {
    ADDR: [":1", "127.0.0.1:2", "[::1]:3"],
    DURATION: ["7s", "2h", "3d"],
    SIZE: ["17MiB", "18MB", "20971520"],
    NUMBER: ["3", "4", "5"],
    BOOL: key === "managed" || key === "storage.read_only" ? ["true", "1", "TRUE"] : ["false", "0", "FALSE"],
    PATH: key === "metrics.path" ? ["/a", "/b", "/c"] : ["a", "/b c", "./c"],
    "always|interval": ["interval", "interval", "interval"],
    "debug|info|warn|error": ["debug", "warn", "error"],
    "json|text": ["text", "text", "text"],
    "stdout|stderr": ["stderr", "stderr", "stderr"],
    "on|off": ["off", "off", "off"],
  };
  return ofKind[kind.placeholder]!;
}

function resultOf(key: string, sources: Partial<ConfigSources>) {
  const { values, config } = load(sources);
  const found = values.find(({ setting }) => setting.key === key)!;
  const { section, name } = found.setting;
  const inConfig = (config as unknown as Record<string, Record<string, unknown>>)[section]![name];
  expect(inConfig).toBe(found.value);
  return { text: found.text, origin: found.origin };
}

test("every setting can be given by flag, variable and file, and the flag beats the variable beats the file beats the default", () => {
  for (const setting of allSettings) {
    const { key, flag, kind } = setting;
    const [section, name] = key.split(".") as [string, string | undefined];
    const [inFile, inVariable, inFlag] = samples(setting);
    const canonical = (text: string) => kind.format(kind.schema.parse(text));
    const value = JSON.stringify(inFile);
    const file = fileWith(name === undefined ? `${section}: ${value}\n` : `${section}:\n  ${name}: ${value}\n`);
    const env = { [variableOf(setting)]: inVariable };
    const flags = new Map([[flag, inFlag]]);

    expect(resultOf(key, {}).origin).toEqual({ from: "default" });
    expect(resultOf(key, { file })).toEqual({
      text: canonical(inFile),
      origin: {
        from: "file",
        file,
        ...(name === undefined ? { line: 1, column: 10 } : { line: 2, column: name.length + 5 }),
      },
    });
    expect(resultOf(key, { file, env })).toEqual({
      text: canonical(inVariable),
      origin: { from: "variable", name: variableOf(setting) },
    });
    expect(resultOf(key, { file, env, flags })).toEqual({
      text: canonical(inFlag),
      origin: { from: "flag", name: `--${flag}` },
    });
  }
});

test("keys, flags and variables are each unique, and no variable is one that Kubernetes sets for a Service named tsdb", () => {
  for (const names of [
    allSettings.map(({ key }) => key),
    allSettings.map(({ flag }) => flag),
    allSettings.map(variableOf),
  ])
    expect(new Set(names).size).toBe(names.length);
  for (const setting of allSettings) expect(variableOf(setting)).not.toMatch(/^TSDB_(SERVICE_|PORT)/);
});

test("the printed form of each value, default or not, reads back as the same value", () => {
  for (const { setting, value, text } of load({}).values) {
    expect(setting.kind.schema.parse(text)).toEqual(value);
    for (const sample of samples(setting)) {
      const once = setting.kind.format(setting.kind.schema.parse(sample));
      expect(setting.kind.format(setting.kind.schema.parse(once))).toBe(once);
    }
  }
});

test("the configuration printed as YAML gives the same configuration", () => {
  const flags = new Map(allSettings.map((setting) => [setting.flag, samples(setting)[2]] as const));
  for (const loaded of [load({}), load({ flags })]) {
    const again = load({ file: fileWith(toYaml(loaded.values)) });
    expect(again.config).toEqual(loaded.config);
    expect(again.hash).toBe(loaded.hash);
  }
});

test("the defaults are those of the operations guide", () => {
  const { config } = load({});
  expect(config.server.listen).toEqual({ host: "", port: 8080 });
  expect(config.storage).toMatchObject({
    dataDir: "./data",
    retentionMs: 30 * 86_400_000,
    memtableBytesMax: 268_435_456,
    outOfOrderWindowMs: 86_400_000,
    diskReserveBytes: "auto",
    packed: "on",
    isReadOnly: false,
  });
  expect(config.root).toEqual({ isManaged: false });
  expect(config.wal).toEqual({
    enabled: true,
    dir: "./data/wal",
    segmentBytesMax: 134_217_728,
    sync: "always",
    syncIntervalMs: 1000,
  });
  expect(config.compaction).toMatchObject({ enabled: true, intervalMs: 300_000 });
  expect(config.logging).toEqual({ level: "info", format: "json", output: "stdout" });
  expect(config.metrics).toEqual({ enabled: true, path: "/metrics" });
});

test("the guide's file is accepted as it stands", () => {
  const { config } = load({
    file: fileWith(`
server:
  listen: ":8080"
  read_timeout: 30s
  write_timeout: 30s

storage:
  data_dir: "/var/lib/tsdb/data"
  retention: 720h  # 30 days
  memtable_size: 268435456  # 256 MB

wal:
  enabled: true
  dir: "/var/lib/tsdb/wal"
  segment_size: 134217728  # 128 MB
  sync_interval: 1s

compaction:
  enabled: true
  interval: 5m
  concurrency: 2

logging:
  level: info
  format: json
  output: stdout

metrics:
  enabled: true
  path: /metrics
`),
  });
  expect(config.storage).toMatchObject({
    dataDir: "/var/lib/tsdb/data",
    retentionMs: 2_592_000_000,
    memtableBytesMax: 268_435_456,
  });
  expect(config.wal.dir).toBe("/var/lib/tsdb/wal");
  expect(config.compaction.concurrency).toBe(2);
});

test("the write-ahead log lies in the data directory unless it is told otherwise", () => {
  expect(load({ flags: new Map([["data-dir", "/d/"]]) }).config.wal.dir).toBe("/d/wal");
  expect(load({ env: { TSDB_DATA_DIR: "/d", TSDB_WAL_DIR: "/w" } }).config.wal.dir).toBe("/w");
});

test("the log is text where a person reads it, unless it is told otherwise", () => {
  const onTerminal = { surroundings: { coreCount: 2, isTerminal: true } };
  expect(load(onTerminal).config.logging.format).toBe("text");
  expect(load({ ...onTerminal, env: { TSDB_LOG_FORMAT: "json" } }).config.logging.format).toBe("json");
});

test("an empty variable counts as unset, except where empty has a meaning", () => {
  const { config } = load({ env: { TSDB_RETENTION: "", TSDB_CONFIG: "", TSDB_PROBE_LISTEN: "" } });
  expect(config.storage.retentionMs).toBe(30 * 86_400_000);
  expect(config.server.probeListen).toBeNull();
});

test("TSDB_CONFIG names the file, and --config another", () => {
  const env = { TSDB_CONFIG: fileWith("storage: {retention: 1d}") };
  expect(load({ env }).config.storage.retentionMs).toBe(86_400_000);
  expect(load({ env, file: fileWith("storage: {retention: 2d}") }).config.storage.retentionMs).toBe(2 * 86_400_000);
});

test("a variable that is nearly one of ours is warned of; what Kubernetes sets is not", () => {
  const env = {
    TSDB_RETENTON: "1d",
    TSDB_SERVICE_HOST: "10.0.0.1",
    TSDB_PORT: "tcp://10.0.0.1:8080",
    TSDB_PORT_8080_TCP: "x",
    TSDB_OTHER_THING: "",
    // What an image says of itself, and what shows where an error came from.
    TSDB_REVISION: "0123456789ab",
    TSDB_DEBUG: "1",
  };
  expect(load({ env }).warnings).toEqual([
    "The variable TSDB_RETENTON is not one of tsdb's; did you mean TSDB_RETENTION?",
  ]);
});

test("the hash differs when a value differs, and does not depend on where the value came from", () => {
  const hash = load({}).hash;
  expect(load({ flags: new Map([["retention", "720h"]]), nowMs: 5 }).hash).toBe(hash);
  for (const setting of allSettings)
    expect(load({ flags: new Map([[setting.flag, samples(setting)[0]]]) }).hash).not.toBe(hash);
});

test("a reload applies what can be reloaded, and names what needs a restart", () => {
  const before = load({ file: fileWith("storage: {retention: 1d, memtable_size: 64MB}\n") });
  const after = load({ file: fileWith("storage: {retention: 2d, memtable_size: 128MB}\nlogging: {level: debug}\n") });
  const { inForce, applied, needRestart } = reloaded(before, after);
  expect(applied.map(({ setting, text }) => [setting.key, text])).toEqual([
    ["storage.retention", "2d"],
    ["logging.level", "debug"],
  ]);
  expect(needRestart.map(({ setting, text }) => [setting.key, text])).toEqual([["storage.memtable_size", "128MiB"]]);
  expect(inForce.config.logging.level).toBe("debug");
  expect(inForce.config.storage.retentionMs).toBe(2 * 86_400_000);
  expect(inForce.config.storage.memtableBytesMax).toBe(64 * 2 ** 20);
  expect(inForce.hash).not.toBe(before.hash);
  expect(inForce.hash).not.toBe(after.hash);
});

test("a key that stands in no section is given as it is", () => {
  expect(load({ file: fileWith("managed: true\nlogging: {level: debug}\n") }).config.root.isManaged).toBe(true);
  expect(load({ env: { TSDB_MANAGED: "true" } }).config.root.isManaged).toBe(true);
  expect(() => load({ file: fileWith("managed: perhaps\n") })).toThrow(/managed is "perhaps": expected true or false/);
  expect(() => load({ file: fileWith("manged: true\n") })).toThrow(/did you mean "managed"/);
});

test("an origin is printed as a place that the user can go to", () => {
  expect(formatOrigin({ from: "default" })).toBe("default");
  expect(formatOrigin({ from: "file", file: "tsdb.yaml", line: 4, column: 3 })).toBe("tsdb.yaml:4");
  expect(formatOrigin({ from: "variable", name: "TSDB_LISTEN" })).toBe("env TSDB_LISTEN");
  expect(formatOrigin({ from: "flag", name: "--listen" })).toBe("flag --listen");
});
