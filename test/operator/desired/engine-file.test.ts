import fc from "fast-check";
import { expect, test } from "vitest";
import { engineKeys } from "../../../src/operator/api/engine-config.ts";
import { engineFile } from "../../../src/operator/desired/engine-file.ts";
import { allSettings } from "../../../src/tsdb/config.ts";
import { parseConfigFile } from "../../../src/tsdb/config/file.ts";
import { at, built, databaseOf, one, problemsOf, templateOf } from "../support/databases.ts";
import { validSpecs } from "../support/specs.ts";

const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);

/** What the engine reads in the file of a spec, by key. */
function settingsOf(spec: object): Readonly<Record<string, unknown>> {
  const { values, problems } = parseConfigFile(engineFile(databaseOf(spec).spec).text, "tsdb.yaml");
  expect(problems).toEqual([]);
  return Object.fromEntries(values.map(({ setting, value }) => [setting.key, setting.kind.format(value)]));
}

test("a spec that says nothing keeps 30 days, or 80 % of the volume, and is managed by its file", () => {
  expect(settingsOf({})).toEqual({
    "server.listen": ":8080",
    "server.probe_listen": ":8081",
    "storage.data_dir": "/data/tsdb",
    "storage.retention": "30d",
    "storage.retention_percent": "80",
    managed: "true",
  });
});

test("a retention by size is bytes, or per cent of the volume that the engine itself looks at", () => {
  for (const [size, key, value] of [
    ["70Gi", "storage.retention_size", "70GiB"],
    ["500G", "storage.retention_size", "488281250KiB"],
    ["5%", "storage.retention_percent", "5"],
    ["8Ei", "storage.retention_size", "1024TiB"],
  ] as const)
    expect(settingsOf({ retention: { size } })[key], size).toBe(value);
  expect(settingsOf({ retention: { time: "99y999w" } })["storage.retention"], "a century is the most").toBe("36525d");
});

test("read-only is said by the file, and restarts nothing", () => {
  expect(settingsOf({ mode: "ReadOnly" })["storage.read_only"]).toBe("true");
  expect(one(built({ mode: "ReadOnly" }), "StatefulSet")).toEqual(one(built(), "StatefulSet"));
});

test("every file that is written is one that the engine takes, and is told by the hash that the engine gives", () => {
  fc.assert(
    fc.property(validSpecs, (spec) => {
      const file = engineFile(databaseOf(spec).spec);
      expect(file.problems).toEqual([]);
      settingsOf(spec);
      expect(file.hash).toMatch(/^[0-9a-f]{16}$/);
      expect(built(spec).configFileHash).toBe(file.hash);
    }),
    { seed, numRuns: 300 },
  );
});

test("what the engine would refuse is refused with the field and what it may be", () => {
  expect(problemsOf({ config: { memtableSize: "1B", queryMaxMemory: "4GB" } })).toEqual([
    'spec.config.memtableSize is "1B": expected a size from 4MiB to 3.5GiB, such as 256MB or 256MiB (both 268435456), or a number of bytes',
    'spec.config.queryMaxMemory is "4GB": expected a size from 16MiB to 3.5GiB, such as 256MB or 256MiB (both 268435456), or a number of bytes',
  ]);
});

/** A value for each setting, none of them its default. */
const another: Readonly<Record<keyof typeof engineKeys, unknown>> = {
  memtableSize: "1GB",
  outOfOrderWindow: "1h",
  walSync: "interval",
  walSyncInterval: "5s",
  walSegmentSize: "64MB",
  compactionInterval: "1h",
  compactionConcurrency: 2,
  queryTimeout: "1m",
  queryMaxConcurrency: 3,
  queryMaxSamples: 1000,
  queryMaxSeries: 1000,
  queryMaxMemory: "64MB",
  maxLabelsPerSeries: 30,
  maxLabelNameLength: 100,
  maxLabelValueLength: 100,
  maxSeriesPerRequest: 100,
  logLevel: "debug",
  logFormat: "text",
};

test("a setting that the engine takes up by itself restarts nothing, and one that needs a restart rolls the pods", () => {
  const fileOf = (spec: object) => at(one(built(spec), "ConfigMap"), "data");
  const rolls = (spec: object): boolean => {
    expect(fileOf(spec), JSON.stringify(spec)).not.toEqual(fileOf({}));
    return JSON.stringify(templateOf(built(spec))) !== JSON.stringify(templateOf(built()));
  };
  for (const [name, { setting: key }] of Object.entries(engineKeys)) {
    const setting = allSettings.find((candidate) => candidate.key === key);
    expect(setting, `${name} is a setting of the engine`).toBeDefined();
    expect(rolls({ config: { [name]: another[name as keyof typeof another] } }), name).toBe(!setting!.reloadable);
  }
  expect(rolls({ retention: { time: "60d", size: "50%" } })).toBe(false);
});
