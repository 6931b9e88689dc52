/** What a user reads for each mistake. Whole messages, because every word of them is the interface. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { messageOf } from "../../../src/base/errors.ts";
import { loadConfig } from "../../../src/tsdb/config.ts";
import { parseConfigFile } from "../../../src/tsdb/config/file.ts";

const dir = mkdtempSync(join(tmpdir(), "tsdb-mistakes-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const sections = "server, storage, wal, compaction, query, limits, logging, metrics, managed";
const ofStorage =
  "data_dir, retention, retention_size, retention_percent, disk_reserve, read_only, out_of_order_window, packed, scrub_interval, " +
  "memtable_size";
const ofServer = "listen, probe_listen, read_timeout, write_timeout, max_connections";
const duration = "expected a duration such as 30d, 720h, 1h30m or 500ms";
const memtable = "expected a size from 4MiB to 3.5GiB, such as 256MB or 256MiB (both 268435456), or a number of bytes";
const address = "expected an address such as :8080, 127.0.0.1:8080 or [::1]:8080";

test("each mistake in a file is told with file, line, column, what is allowed and what was probably meant", () => {
  const mistakes: readonly (readonly [string, ...string[]])[] = [
    [
      "storage:\n  retenton: 30d\n",
      `2:3: unknown key "retenton" in storage; did you mean "retention"? Allowed: ${ofStorage}`,
    ],
    ["storage:\n  zzz: 1\n", `2:3: unknown key "zzz" in storage. Allowed: ${ofStorage}`],
    [
      "storage:\n  data-dir: x\n",
      `2:3: unknown key "data-dir" in storage; did you mean "data_dir"? Allowed: ${ofStorage}`,
    ],
    [
      "storage:\n  listen: :80\n",
      `2:3: unknown key "listen" in storage; did you mean server.listen? Allowed: ${ofStorage}`,
    ],
    ["serer:\n  listen: :80\n", `1:1: unknown section "serer"; did you mean "server"? Allowed: ${sections}`],
    ["retention: 3d\n", `1:1: unknown section "retention"; did you mean storage.retention? Allowed: ${sections}`],
    ["wal_sync: always\n", `1:1: unknown section "wal_sync"; did you mean wal.sync? Allowed: ${sections}`],
    ["data-dir: x\n", `1:1: unknown section "data-dir"; did you mean storage.data_dir? Allowed: ${sections}`],
    ["__proto__:\n  a: 1\n", `1:1: unknown section "__proto__". Allowed: ${sections}`],
    ["server:\n  __proto__: 1\n", `2:3: unknown key "__proto__" in server. Allowed: ${ofServer}`],
    ["storage:\n  retention: 30 days\n", `2:14: storage.retention is "30 days": ${duration}`],
    ["storage:\n  retention: 30\n", `2:14: storage.retention is 30: ${duration}`],
    ["storage:\n  retention: 0s\n", `2:14: storage.retention is "0s": ${duration}`],
    ["storage:\n  retention:\n", `2:3: storage.retention has no value: ${duration}`],
    ["storage:\n  memtable_size: 12 parsecs\n", `2:18: storage.memtable_size is "12 parsecs": ${memtable}`],
    ["storage:\n  memtable_size: 1KB\n", `2:18: storage.memtable_size is "1KB": ${memtable}`],
    ["storage: {memtable_size: -5}\n", `1:26: storage.memtable_size is -5: ${memtable}`],
    ["server:\n  listen: 8080\n", `2:11: server.listen is 8080: ${address}`],
    ["server:\n  listen: :99999\n", `2:11: server.listen is ":99999": ${address}`],
    ["server:\n  listen: ::1:8080\n", `2:11: server.listen is "::1:8080": ${address}`],
    ["server:\n  probe_listen: off\n", `2:17: server.probe_listen is "off": ${address}, or "" for none`],
    ["server:\n  max_connections: 0\n", "2:20: server.max_connections is 0: expected a whole number from 1 to 1000000"],
    [
      "server:\n  max_connections: 1.5\n",
      "2:20: server.max_connections is 1.5: expected a whole number from 1 to 1000000",
    ],
    ["wal:\n  enabled: yes\n", '2:12: wal.enabled is "yes": expected true or false'],
    ["wal:\n  sync: sometimes\n", '2:9: wal.sync is "sometimes": expected one of always, interval'],
    ["logging:\n  level: [info]\n", "2:10: logging.level is a list: expected one of debug, info, warn, error"],
    ["logging:\n  level: {a: b}\n", "2:10: logging.level is a section: expected one of debug, info, warn, error"],
    [
      "metrics:\n  path: metrics\n",
      '2:9: metrics.path is "metrics": expected a path that starts with /, such as /metrics',
    ],
    ["storage: ./data\n", `1:10: storage is a section: expected its keys below it: ${ofStorage}`],
    ["- a\n- b\n", `1:1: expected sections: ${sections}`],
    ["just words\n", `1:1: expected sections: ${sections}`],
    ["storage:\n  retention: 1d\n  retention: 2d\n", "3:3: this key is already given above"],
    ["storage: {}\nstorage: {}\n", "2:1: this key is already given above"],
    ["storage:\n\tretention: 1d\n", "2:1: Tabs are not allowed as indentation"],
    ['server:\n  listen: ":80\n', "3:1: the quote before this is not closed"],
    ["a: 1\n---\nb: 2\n", "2:1: expected one YAML document, found a second"],
    ['storage: {data_dir: !!js/function "x"}\n', "1:21: tag tag:yaml.org,2002:js/function is not allowed here"],
    ["storage: {data_dir: !env X}\n", "1:21: tag !env is not allowed here"],
    ["storage: *missing\n", "1:10: there is no anchor &missing before this"],
    ["? [a]\n: 1\n", "1:3: keys must be words"],
    [`${"[".repeat(100_000)}\n`, "1:1: nested too deeply"],
    [
      "storage:\n  retention: x\nwal:\n  sync: y\n",
      `2:14: storage.retention is "x": ${duration}`,
      '4:9: wal.sync is "y": expected one of always, interval',
    ],
  ];
  for (const [text, ...expected] of mistakes) {
    const { problems } = parseConfigFile(text, "tsdb.yaml");
    // How deep the parser gets depends on the stack that is left.
    const told = problems.map((problem) => problem.replace(/:1:\d+: nested/, ":1:1: nested"));
    expect(told).toEqual(expected.map((message) => `tsdb.yaml:${message}`));
  }
});

test("empty files, comments and sections without keys are no mistakes; aliases of one's own are allowed, but few", () => {
  for (const text of [
    "",
    "# nothing\n",
    "storage:\n  # retention: 1d\n",
    "---\n",
    "server: {listen: &a ':1', probe_listen: *a}\n",
  ])
    expect(parseConfigFile(text, "f").problems).toEqual([]);
  const many = `server: {listen: &a ":1"}\nx: [${"*a, ".repeat(200)}]\n`;
  expect(parseConfigFile(many, "f").problems).toEqual(["f:1:1: more than 100 aliases"]);
});

test("nothing that a file says reaches the prototypes of objects", () => {
  parseConfigFile(
    "__proto__: {polluted: 1}\nserver: {__proto__: {polluted: 1}, constructor: {prototype: {polluted: 1}}}\n",
    "f",
  );
  expect("polluted" in {}).toBe(false);
});

function problemsOf(sources: {
  flags?: Record<string, string>;
  env?: Record<string, string>;
  file?: string;
}): string[] {
  try {
    loadConfig({
      flags: new Map(Object.entries(sources.flags ?? {})),
      env: sources.env ?? {},
      file: sources.file,
      surroundings: { coreCount: 2, isTerminal: false },
      nowMs: 0,
    });
    return [];
  } catch (thrown) {
    return messageOf(thrown).split("\n");
  }
}

test("a bad flag or variable is told by its name; one that a better source overrides is not read", () => {
  expect(problemsOf({ flags: { retention: "x" } })).toEqual([`--retention is "x": ${duration}`]);
  expect(problemsOf({ env: { TSDB_RETENTION: "x" } })).toEqual([`TSDB_RETENTION is "x": ${duration}`]);
  expect(problemsOf({ flags: { retention: "1d" }, env: { TSDB_RETENTION: "x" } })).toEqual([]);
});

test("all problems are told at once, up to a screenful", () => {
  const file = join(dir, "many.yaml");
  writeFileSync(file, `storage:\n${Array.from({ length: 30 }, (_, i) => `  key${i}: 1\n`).join("")}`);
  const problems = problemsOf({ flags: { listen: "x" }, file });
  expect(problems).toHaveLength(21);
  expect(problems.at(-1)).toBe("... and 11 more problems");
});

test("a file that cannot be read is told with the reason", () => {
  const big = join(dir, "big.yaml");
  writeFileSync(big, "#".repeat(1024 * 1024 + 1));
  const binary = join(dir, "binary.yaml");
  writeFileSync(binary, Buffer.from([0xff, 0xfe, 0x00]));
  const missing = join(dir, "missing.yaml");
  expect(problemsOf({ file: missing })).toEqual([
    `Cannot read the configuration file ${missing}: there is no such file; give the path of an existing file with --config`,
  ]);
  expect(problemsOf({ file: dir })).toEqual([
    `Cannot read the configuration file ${dir}: it is a directory; give the path of a file`,
  ]);
  expect(problemsOf({ file: binary })).toEqual([`Cannot read the configuration file ${binary}: it is not UTF-8 text`]);
  expect(problemsOf({ file: big })).toEqual([`${big}: larger than 1 MiB, the limit of a configuration file`]);
  expect(problemsOf({ file: "/dev/zero" })).toEqual([
    "/dev/zero: larger than 1 MiB, the limit of a configuration file",
  ]);
});
