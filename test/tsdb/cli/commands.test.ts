/** `tsdb` as a user meets it: real processes against a small HTTP server that records what it is asked. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { runProgram } from "../../../src/tsdb/cli/program.ts";
import { runTsdb } from "../../support/run-tsdb.ts";

interface Asked {
  readonly path: string;
  readonly type: string | undefined;
  readonly body: string;
}

let asked: Asked[] = [];
let answer: (asked: Asked, response: ServerResponse) => void;
let url = "";
const server = createServer((request: IncomingMessage, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
  request.on("end", () => {
    const one = { path: request.url!, type: request.headers["content-type"], body };
    asked.push(one);
    answer(one, response);
  });
});
const dir = mkdtempSync(join(tmpdir(), "tsdb-cli-"));

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked = [];
  answer = (_asked, response) => response.writeHead(204).end();
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const answerJson = (value: unknown, status = 200, headers: Record<string, string> = {}) => {
  answer = (_asked, response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
};
const success = (data: unknown, more = {}) => answerJson({ status: "success", data, ...more });

test("write sends one sample as JSON, with the time now or the one that is given", async () => {
  const before = Date.now();
  const run = await runTsdb(["write", 'cpu{host="a"} 0.85', "--url", url]);
  expect(run).toMatchObject({ code: 0, stdout: "1 sample written\n", stderr: "" });
  expect(asked[0]).toMatchObject({ path: "/api/v1/write", type: "application/json" });
  const { timeseries } = JSON.parse(asked[0]!.body) as {
    timeseries: { labels: object[]; samples: { timestamp: number; value: number }[] }[];
  };
  expect(timeseries[0]!.labels).toEqual([
    { name: "__name__", value: "cpu" },
    { name: "host", value: "a" },
  ]);
  expect(timeseries[0]!.samples[0]!.value).toBe(0.85);
  expect(timeseries[0]!.samples[0]!.timestamp).toBeGreaterThanOrEqual(before);

  await runTsdb(["write", "up 1", "1732450000000"], { env: { TSDB_URL: `${url}/prefix/` } });
  expect(asked[1]).toMatchObject({ path: "/prefix/api/v1/write" });
  expect(asked[1]!.body).toBe(
    '{"timeseries":[{"labels":[{"name":"__name__","value":"up"}],"samples":[{"timestamp":1732450000000,"value":1}]}]}',
  );
});

test("write reads lines from standard input, skips comments, and keeps every value exact", async () => {
  const stdin = '# HELP a b\n# TYPE a gauge\na NaN 1\r\n\na{x="1"} +Inf 2\na -Inf 3\na -0 4\na 1e-320 5';
  const run = await runTsdb(["write", "--url", url], { stdin });
  expect(run).toMatchObject({ code: 0, stdout: "5 samples written\n", stderr: "" });
  expect(asked[0]!.body.match(/"value":[^}]+}]}/g)).toEqual([
    '"value":"NaN"}]}',
    '"value":"+Inf"}]}',
    '"value":"-Inf"}]}',
    '"value":-0}]}',
    '"value":1e-320}]}',
  ]);
});

test("write sends many lines in requests of 1000", async () => {
  const stdin = Array.from({ length: 2500 }, (_, i) => `m{i="${i}"} ${i} 1`).join("\n");
  expect(await runTsdb(["write", "--url", url, "-"], { stdin })).toMatchObject({
    code: 0,
    stdout: "2500 samples written\n",
  });
  expect(asked.map(({ body }) => (JSON.parse(body) as { timeseries: unknown[] }).timeseries.length)).toEqual([
    1000, 1000, 500,
  ]);
});

test("write goes on where single samples are refused, and says at the end how many and why", async () => {
  let requests = 0;
  const error = "999 samples stored, 1 refused: out_of_order 1 (m: too old)";
  answer = (_asked, response) =>
    ++requests === 2
      ? response.writeHead(400).end(JSON.stringify({ status: "error", errorType: "bad_data", error }))
      : response.writeHead(204).end();
  const stdin = Array.from({ length: 2500 }, (_, i) => `m{i="${i}"} ${i} 1`).join("\n");
  expect(await runTsdb(["write", "--url", url], { stdin })).toMatchObject({
    code: 1,
    stderr: "tsdb: 2499 samples written, 1 refused: out_of_order 1 (m: too old)\n",
  });
});

test("an instant query prints a table, a scalar its value, nothing found a sentence", async () => {
  success({
    resultType: "vector",
    result: [
      { metric: { __name__: "cpu", host: "a" }, value: [1732450000, "0.85"] },
      { metric: { __name__: "my.metric", "b.c": "x\ny\u001b[31m" }, value: [1732450000, "+Inf"] },
      { metric: {}, value: [1732450000, "1"] },
    ],
  });
  const run = await runTsdb(["query", "cpu", "--url", url, "--time", "2024-11-24T12:00:00Z"]);
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(`\n${run.stdout}`).toBe(`
SERIES                                VALUE
cpu{host="a"}                          0.85
{"my.metric","b.c"="x\\ny\\u001b[31m"}   +Inf
{}                                        1
`);
  expect(run.stdout).not.toContain("\u001b");
  expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toEqual({ query: "cpu", time: "1732449600" });

  success({ resultType: "scalar", result: [1, "42"] });
  expect((await runTsdb(["query", "42", "--url", url])).stdout).toBe("42\n");
  success({ resultType: "vector", result: [] });
  expect((await runTsdb(["query", "nope", "--url", url])).stdout).toBe("No series match.\n");
});

const matrix = {
  resultType: "matrix",
  result: [
    {
      metric: { __name__: "cpu", host: "a" },
      values: [
        [1732450000, "1"],
        [1732450060, "NaN"],
      ],
    },
    { metric: { __name__: "cpu", host: 'b"', zone: "x,y" }, values: [[1732450060, "3"]] },
  ],
};

test("a range query draws a plot, and with --plot=off prints a table", async () => {
  success(matrix);
  const range = ["--start", "1732450000", "--end", "1732450060", "--step", "1m"];
  const plotted = await runTsdb(["query", "cpu", "--url", url, ...range]);
  expect(plotted).toMatchObject({ code: 0, stderr: "" });
  expect(plotted.stdout).toMatch(/3 ┤.*[⠁-⣿]/);
  expect(plotted.stdout).toContain('━━ cpu{host="a"}  last 1, min 1, max 1');
  expect(asked[0]!.path).toBe("/api/v1/query_range");
  expect(Object.fromEntries(new URLSearchParams(asked[0]!.body))).toEqual({
    query: "cpu",
    start: "1732450000",
    end: "1732450060",
    step: "60",
  });

  const listed = await runTsdb(["query", "cpu", "--url", url, ...range, "--plot=off"]);
  expect(`\n${listed.stdout}`).toBe(`
SERIES                      TIME                      VALUE
cpu{host="a"}               2024-11-24T12:06:40.000Z      1
cpu{host="a"}               2024-11-24T12:07:40.000Z    NaN
cpu{host="b\\"",zone="x,y"}  2024-11-24T12:07:40.000Z      3
`);
});

test("-o json prints the server's answer as it is, -o csv a column for each label", async () => {
  success(matrix);
  const json = await runTsdb(["query", "cpu", "--url", url, "--range", "1h", "-o", "json"]);
  expect(JSON.parse(json.stdout)).toEqual({ status: "success", data: matrix });
  const csv = await runTsdb(["query", "cpu", "--url", url, "--range", "1h", "-o", "csv"]);
  expect(csv.stdout).toBe(
    '__name__,host,zone,timestamp,value\r\ncpu,a,,2024-11-24T12:06:40.000Z,1\r\ncpu,a,,2024-11-24T12:07:40.000Z,NaN\r\ncpu,"b""","x,y",2024-11-24T12:07:40.000Z,3\r\n',
  );
  const { start, end, step } = Object.fromEntries(new URLSearchParams(asked[0]!.body)) as Record<string, string>;
  expect(Number(end) - Number(start)).toBeCloseTo(3600, 3);
  expect(step).toBe("30");
});

test("warnings and infos of an answer go to standard error", async () => {
  success(
    { resultType: "vector", result: [] },
    { warnings: ["a chunk is damaged"], infos: ["metric might not be a counter"] },
  );
  expect((await runTsdb(["query", "x", "--url", url])).stderr).toBe(
    "tsdb: a chunk is damaged\ntsdb: metric might not be a counter\n",
  );
});

test("what the server refuses is told in its words, with exit code 1; not ready is 4", async () => {
  answerJson(
    { status: "error", errorType: "bad_data", error: 'invalid parameter "query": 1:5: parse error: unexpected "x"' },
    400,
  );
  expect(await runTsdb(["query", "a + x x", "--url", url])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: 'tsdb: a + x x\n          ^ unexpected "x"\n',
  });
  answerJson(
    { status: "error", errorType: "unavailable", error: "The database is replaying its write-ahead log" },
    503,
    { "retry-after": "5" },
  );
  expect(await runTsdb(["write", "up 1", "--url", url])).toMatchObject({
    code: 4,
    stderr: `tsdb: The database is replaying its write-ahead log\n      Try again in 5 s.\n`,
  });
  answer = (_asked, response) => response.writeHead(404, "Not Found").end("<html>");
  expect(await runTsdb(["write", "up 1", "--url", url])).toMatchObject({
    code: 1,
    stderr: `tsdb: ${url} answered 404 Not Found, and not as a database does\n      Check --url or TSDB_URL: is it the address of a tsdb?\n`,
  });
});

test("each mistake on the command line is one clear message, and the exit code says of which kind", async () => {
  const hint = (command: string) => `\n      \`tsdb ${command}--help\` lists what is allowed.`;
  const mistakes: readonly { args: readonly string[]; code: number; says: string }[] = [
    { args: ["strat"], code: 2, says: `unknown command 'strat'; did you mean start?${hint("")}` },
    {
      args: ["start", "--retenton=3d"],
      code: 2,
      says: `unknown option '--retenton'; did you mean --retention?${hint("start ")}`,
    },
    {
      args: ["start", "--retention"],
      code: 2,
      says: `option '--retention <DURATION>' argument missing${hint("start ")}`,
    },
    { args: ["help", "qury"], code: 2, says: `unknown command 'qury'; did you mean query?${hint("")}` },
    {
      args: ["start", "now"],
      code: 2,
      says: `too many arguments for 'start'. Expected 0 arguments but got 1: now.${hint("start ")}`,
    },
    {
      args: ["start", "--retention=3x"],
      code: 2,
      says: '--retention is "3x": expected a duration such as 30d, 720h, 1h30m or 500ms',
    },
    { args: ["start", "--wal-enabled=perhaps"], code: 2, says: '--wal-enabled is "perhaps": expected true or false' },
    { args: ["config", "check"], code: 2, says: `missing required argument 'FILE'${hint("config check ")}` },
    { args: ["query"], code: 2, says: `missing required argument 'EXPR'${hint("query ")}` },
    {
      args: ["query", "x", "-o", "xml"],
      code: 2,
      says: `option '-o, --output <FORMAT>' argument 'xml' is invalid. Allowed choices are table, json, csv.${hint("query ")}`,
    },
    {
      args: ["query", "x", "--range", "soon"],
      code: 2,
      says: '--range is "soon": expected a duration such as 1h, 30s or 1h30m',
    },
    {
      args: ["query", "x", "--start", "yesterday"],
      code: 2,
      says: '--start is "yesterday": expected 2026-01-31T12:00:00Z, seconds since 1970, now, or now-1h',
    },
    { args: ["query", "x", "--step", "5s"], code: 2, says: "--step needs --start or --range" },
    { args: ["query", "x", "--start", "5", "--end", "4"], code: 2, says: "--start is later than --end" },
    { args: ["query", "x", "--start", "5", "--range", "4s"], code: 2, says: "--start and --range exclude each other" },
    {
      args: ["query", "x", "--url", "ftp://localhost:80"],
      code: 2,
      says: 'the URL is "ftp://localhost:80": expected one such as http://127.0.0.1:8080',
    },
    {
      args: ["query", "x", "--url", "127.0.0.1:1"],
      code: 4,
      says: "cannot reach http://127.0.0.1:1: nobody listens there (connection refused)\n      Start a database with `tsdb start`, or say where it is with --url or TSDB_URL.",
    },
    { args: ["write", "cpu one"], code: 2, says: "cpu one\n          ^ expected a number, NaN, +Inf or -Inf" },
    {
      args: ["write", "cpu 1", "soon"],
      code: 2,
      says: 'the timestamp is "soon": expected whole milliseconds since 1970',
    },
    { args: ["write", "cpu 1 2", "3"], code: 2, says: "the timestamp is given twice: in the sample and after it" },
  ];
  for (const { args, code, says } of mistakes)
    expect([args, ...(await runHere(args))]).toEqual([args, code, "", `tsdb: ${says}\n`]);
  expect(await runTsdb(["write"], { stdin: "cpu 1\ncpu x\n" })).toMatchObject({
    code: 2,
    stderr: "tsdb: stdin:2:5: expected a number, NaN, +Inf or -Inf (nothing was written)\n",
  });
});

/** Runs a command in this process: a process of its own takes a third of a second. */
async function runHere(args: readonly string[]): Promise<[code: number, stdout: string, stderr: string]> {
  let [stdout, stderr] = ["", ""];
  const out = vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((stdout += String(text))));
  const err = vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += String(text))));
  try {
    return [await runProgram(args, false), stdout, stderr];
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

test("config check tells each problem and exits 3; config print shows each value with its origin", async () => {
  writeFileSync(join(dir, "bad.yaml"), "storage:\n  retenton: 1d\n");
  writeFileSync(join(dir, "good.yaml"), "storage:\n  retention: 1d\n");
  expect(await runTsdb(["config", "check", "bad.yaml"], { cwd: dir })).toMatchObject({
    code: 3,
    stdout: "",
    stderr:
      'tsdb: bad.yaml:2:3: unknown key "retenton" in storage; did you mean "retention"? Allowed: data_dir, retention, retention_size, retention_percent, disk_reserve, read_only, out_of_order_window, packed, scrub_interval, memtable_size\n',
  });
  expect(await runTsdb(["config", "check", "good.yaml"], { cwd: dir })).toMatchObject({
    code: 0,
    stdout: "good.yaml: no problems found\n",
  });
  const printed = await runTsdb(["config", "print", "--config=good.yaml", "--data-dir=/d", "--wal-enabled"], {
    cwd: dir,
    env: { TSDB_LOG_LEVEL: "debug" },
  });
  expect(printed).toMatchObject({ code: 0, stderr: "" });
  for (const line of [
    /^storage.retention +1d +good.yaml:2$/m,
    /^storage.data_dir +\/d +flag --data-dir$/m,
    /^logging.level +debug +env TSDB_LOG_LEVEL$/m,
    /^wal.enabled +true +flag --wal-enabled$/m,
    /^wal.dir +\/d\/wal +default$/m,
  ])
    expect(printed.stdout).toMatch(line);
  const json = JSON.parse((await runTsdb(["config", "print", "-o", "json"])).stdout) as Record<string, unknown>;
  expect(json["server.listen"]).toEqual({ value: ":8080", origin: "default" });
});

test("help and version go to standard output and exit 0; help names the exit codes", async () => {
  for (const args of [
    ["--help"],
    ["help"],
    ["help", "start"],
    ["start", "--help"],
    ["query", "-h"],
    ["config", "print", "--help"],
  ]) {
    const [code, stdout, stderr] = await runHere(args);
    expect([args, code, stderr]).toEqual([args, 0, ""]);
    expect(stdout.match(/ {2}130 {2}interrupted/g)).toHaveLength(1);
  }
  expect((await runHere(["help", "start"]))[1]).toContain("--memtable-size <SIZE>");
  expect(await runTsdb(["--version"])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^tsdb \d+\.\d+\.\d+ \(Node \d+\.\d+\.\d+\)\n$/) as string,
  });
});
