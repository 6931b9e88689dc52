/**
 * What an operator asks of a running server, as a user sees it: merging, deleting, snapshots, how much is kept, read-only,
 * a configuration that changes, a block that is damaged. One server with a day and a bit of samples, restarted on the way.
 */
import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { formatDurationMs } from "../src/base/duration.ts";
import { blocksOf, call, dataOf, post, samplesOf } from "./admin/client.ts";
import { freePort } from "./support/ports.ts";
import { sendWrite, type SentSeries } from "./support/remote-write.ts";
import { startTsdb, type Tsdb, type TsdbOptions } from "./support/tsdb.ts";
import { until } from "./support/until.ts";
import { Workspace } from "./support/workspace.ts";

const HOUR_MS = 3_600_000;
const STEP_MS = 60_000;
const HOSTS = 20;
const METRICS = ["cpu_seconds_total", "free_bytes"];

const workspace = new Workspace("admin");
/** The newest sample is a minute old, the oldest 27 hours. */
const endMs = Math.floor(Date.now() / STEP_MS) * STEP_MS - STEP_MS;
const startMs = endMs - 27 * HOUR_MS;
let failed = false;
let server: Tsdb;

beforeAll(async () => {
  server = await startTsdb(workspace);
  await fill(server.url);
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

const valueOf = (metric: string, host: number, timeMs: number): number =>
  metric === "free_bytes" ? ((timeMs / STEP_MS) * 7 + host * 1000) % 65_536 : ((timeMs - startMs) / 1000) * (host + 1);

async function fill(url: string): Promise<void> {
  for (let from = startMs; from <= endMs; from += HOUR_MS) {
    const series = METRICS.flatMap((metric) =>
      Array.from({ length: HOSTS }, (_, host): SentSeries => {
        const samples = [];
        for (let time = from; time < from + HOUR_MS && time <= endMs; time += STEP_MS)
          samples.push({ timestamp: time, value: valueOf(metric, host, time) });
        return { labels: { __name__: metric, host: String(host) }, samples };
      }),
    );
    const { status, text } = await sendWrite(url, series);
    expect(status, text).toBe(204);
  }
}

/** What is left of a series: every sample that was sent, but for those in `gone`. */
async function expectSeries(metric: string, host: number, gone?: { mint: number; maxt: number }): Promise<void> {
  const { samples, warnings } = await samplesOf(server.url, `${metric}{host="${host}"}`, startMs, endMs);
  expect(warnings).toEqual([]);
  const expected = new Map<number, number>();
  for (let time = startMs; time <= endMs; time += STEP_MS)
    if (gone === undefined || time < gone.mint || time > gone.maxt) expected.set(time, valueOf(metric, host, time));
  const [found = new Map<number, number>()] = samples.values();
  expect(found.size, `${metric} of host ${host}`).toBe(expected.size);
  expect([...found], `${metric} of host ${host}`).toEqual([...expected]);
}

async function restart(signal: "SIGTERM" | "SIGKILL", options: TsdbOptions = {}): Promise<void> {
  await server.program.stop(signal);
  server = await startTsdb(workspace, options);
}

interface CompactAnswer {
  readonly cut: readonly string[];
  readonly merges: readonly { readonly sources: readonly string[]; readonly block: string }[];
  readonly deletedBlocks: number;
}
const compact = (): Promise<CompactAnswer> => dataOf(post(server.url, "/api/v1/admin/compact"));

const READ_ONLY = "The database takes no writes: it was made read-only; POST /api/v1/admin/writable ends that";

test("compact cuts and merges what is complete, answers what it did, and changes no answer", async () => {
  await expectSeries("free_bytes", 3);
  const { cut, merges, deletedBlocks } = await compact();
  const { blocks } = await blocksOf(server.url);
  const cutAndMerged = new Set([...cut, ...merges.map(({ block }) => block)]);
  for (const { ulid } of blocks) expect(existsSync(join(server.dataDir, "blocks", ulid, "meta.json"))).toBe(true);
  // The background may have cut some of it before it was asked.
  expect(blocks.length).toBeGreaterThan(3);
  expect(deletedBlocks).toBe(0);
  for (const { sources, block } of merges) {
    expect(sources.length).toBeGreaterThan(1);
    expect(
      blocks.some(({ ulid }) => sources.includes(ulid)),
      `sources of ${block}`,
    ).toBe(false);
  }
  const newest = Math.max(...blocks.map(({ maxTime }) => maxTime));
  expect(newest).toBeGreaterThan(endMs - 3 * HOUR_MS);
  expect(newest).toBeLessThanOrEqual(endMs - HOUR_MS);
  await expectSeries("free_bytes", 3);
  expect(await compact()).toEqual({ cut: [], merges: [], deletedBlocks: 0 });
  console.log(`${cutAndMerged.size} blocks made while asked, ${blocks.length} in all`);
});

test("a deletion is counted first, then made, in blocks and in the head, and is so after a kill", async () => {
  const path = "/api/v1/admin/tsdb/delete_series";
  const parameters = [["match[]", '{host="3"}'] as const, ["match[]", '{host="4", __name__="free_bytes"}'] as const];
  const dryRun = [...parameters, ["dry_run", "true"] as const];
  interface Counted {
    readonly blocks: readonly string[];
    readonly seriesCount: number;
    readonly sampleCount: number;
    readonly headSeriesCount: number;
  }
  const counted = await dataOf<Counted>(post(server.url, path, { parameters: dryRun }));
  const { blocks } = await blocksOf(server.url);
  expect(counted.blocks.toSorted()).toEqual(blocks.map(({ ulid }) => ulid).sort());
  const newest = Math.max(...blocks.map(({ maxTime }) => maxTime));
  const perSeries = Math.ceil((newest - startMs) / STEP_MS);
  expect(counted).toMatchObject({ seriesCount: 3, sampleCount: 3 * perSeries, headSeriesCount: 3 });
  await expectSeries("free_bytes", 3);
  expect((await post(server.url, path, { parameters })).status).toBe(204);

  // Some of a series: an interval over the border between blocks and head.
  const gone = { mint: newest - 3 * HOUR_MS, maxt: newest + 30 * STEP_MS };
  const interval = [
    ["match[]", 'free_bytes{host="5"}'],
    ["start", String(gone.mint / 1000)],
    ["end", new Date(gone.maxt).toISOString()],
  ] as const;
  expect((await post(server.url, path, { parameters: interval })).status).toBe(204);

  const check = async (): Promise<void> => {
    const whole = [["start", String(startMs / 1000)] as const, ["end", String(endMs / 1000)] as const];
    const series = (selector: string): Promise<unknown[]> =>
      dataOf(call(server.url, "/api/v1/series", { parameters: [["match[]", selector], ...whole] }));
    expect(await series('{host="3"}')).toEqual([]);
    expect(await series('{host="4"}')).toEqual([{ __name__: "cpu_seconds_total", host: "4" }]);
    const everything = { mint: startMs, maxt: endMs };
    await expectSeries("free_bytes", 3, everything);
    await expectSeries("cpu_seconds_total", 3, everything);
    await expectSeries("free_bytes", 4, everything);
    await expectSeries("cpu_seconds_total", 4);
    await expectSeries("free_bytes", 5, gone);
    await expectSeries("cpu_seconds_total", 5);
    expect(await dataOf<Counted>(post(server.url, path, { parameters: dryRun }))).toMatchObject({ sampleCount: 0 });
  };
  await check();
  await restart("SIGKILL");
  await check();
});

test("clean_tombstones takes off the disk what was deleted, and changes no answer", async () => {
  const samplesIn = async (): Promise<number> =>
    (await blocksOf(server.url)).blocks.reduce((sum, { stats }) => sum + stats.numSamples, 0);
  const state = (): Promise<{ readonly blocksWithTombstones: number }> =>
    dataOf(call(server.url, "/api/v1/status/maintenance"));
  const before = await samplesIn();
  expect((await state()).blocksWithTombstones).toBeGreaterThan(3);
  expect((await post(server.url, "/api/v1/admin/tsdb/clean_tombstones")).status).toBe(204);
  const { blocks } = await blocksOf(server.url);
  const newest = Math.max(...blocks.map(({ maxTime }) => maxTime));
  const perSeries = Math.ceil((newest - startMs) / STEP_MS);
  expect(before - (await samplesIn())).toBe(3 * perSeries + 180);
  expect((await state()).blocksWithTombstones).toBe(0);
  await expectSeries("cpu_seconds_total", 4);
  await expectSeries("free_bytes", 6);
  const hosts = Array.from({ length: HOSTS }, (_, host) => String(host)).filter((host) => host !== "3");
  const inBlocks = [["start", String(startMs / 1000)] as const, ["end", String(endMs / 1000 - 20 * 3600)] as const];
  const values = call(server.url, "/api/v1/label/host/values", { parameters: inBlocks });
  expect(await dataOf<string[]>(values)).toEqual(hosts.sort());

  // What was deleted may be written again.
  const again = { labels: { __name__: "free_bytes", host: "3" }, samples: [{ timestamp: endMs - STEP_MS, value: 42 }] };
  const { status, text } = await sendWrite(server.url, [again]);
  expect(status, text).toBe(204);
  const { samples } = await samplesOf(server.url, 'free_bytes{host="3"}', startMs, endMs);
  expect([...samples.values()].map((one) => [...one])).toEqual([[[endMs - STEP_MS, 42]]]);
});

test("a snapshot has blocks and head, or blocks alone, and another server serves it", async () => {
  const path = "/api/v1/admin/tsdb/snapshot";
  const { name } = await dataOf<{ readonly name: string }>(post(server.url, path));
  const { name: withoutHead } = await dataOf<{ readonly name: string }>(
    post(server.url, path, { parameters: [["skip_head", "true"]] }),
  );
  const dirOf = (snapshot: string): string => join(server.dataDir, "snapshots", snapshot);
  expect(readdirSync(dirOf(name)).length).toBeGreaterThan(readdirSync(dirOf(withoutHead)).length);
  cpSync(dirOf(name), join(workspace.path("of-snapshot"), "blocks"), { recursive: true });
  const other = await startTsdb(workspace, { name: "of-snapshot" });
  for (const selector of ['{host="7"}', '{host=~"[345]"}', 'free_bytes{host=~"1."}']) {
    const [ours, theirs] = await Promise.all(
      [server.url, other.url].map((url) => samplesOf(url, selector, startMs, endMs)),
    );
    expect(theirs).toEqual(ours);
    expect(ours!.samples.size).toBeGreaterThan(0);
  }
  await other.program.stop();
});

test("read-only by hand: writes get 503 and come again later, queries go on, and a restart changes nothing", async () => {
  const write = (): Promise<{ readonly status: number; readonly text: string }> =>
    sendWrite(server.url, [{ labels: { __name__: "up" }, samples: [{ timestamp: endMs, value: 1 }] }]);
  const isReadOnly = async (): Promise<void> => {
    const answer = await fetch(`${server.url}/api/v1/write`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        timeseries: [{ labels: [{ name: "__name__", value: "up" }], samples: [{ timestamp: endMs, value: 1 }] }],
      }),
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "15"]);
    expect(await answer.json()).toEqual({ status: "error", errorType: "unavailable", error: READ_ONLY });
    const ready = await fetch(`${server.probeUrl}/-/ready`);
    expect([ready.status, await ready.text()]).toEqual([503, `${READ_ONLY}.\n`]);
    await expectSeries("free_bytes", 8);
    for (const path of ["compact", "tsdb/clean_tombstones", "tsdb/delete_series?match[]=up"])
      expect(await post(server.url, `/api/v1/admin/${path}`), path).toMatchObject({ status: 503, error: READ_ONLY });
    const counted = post(server.url, "/api/v1/admin/tsdb/delete_series?match[]=free_bytes&dry_run=true");
    expect(await counted).toMatchObject({ status: 200 });
    expect((await post(server.url, "/api/v1/admin/tsdb/snapshot")).status).toBe(200);
  };
  const readOnly = { state: "readonly-manual", reason: READ_ONLY };
  expect(await dataOf(post(server.url, "/api/v1/admin/readonly"))).toEqual(readOnly);
  await isReadOnly();
  await restart("SIGTERM", { state: "readonly-manual" });
  await isReadOnly();
  const writable = await dataOf(post(server.url, "/api/v1/admin/writable"));
  expect(writable).toEqual({ state: "writable", reason: "TSDB is ready" });
  expect(await write()).toEqual({ status: 204, text: "" });
  await restart("SIGKILL");
  expect(await write()).toEqual({ status: 204, text: "" });
});

const RETENTION = "/api/v1/admin/retention";
interface RetentionAnswer {
  readonly retention: string;
  readonly origin: Readonly<Record<string, string>>;
}
const retention = (): Promise<RetentionAnswer> => dataOf(call(server.url, RETENTION));

test("the retention is set at once, over a restart, and shown with its origin; older blocks go, older writes too", async () => {
  expect(await retention()).toMatchObject({ retention: "30d", origin: { retention: "default" } });
  const before = await blocksOf(server.url);
  // At least the oldest block is past it, whichever ranges the hour of the day has given.
  const oldest = before.blocks.toSorted((a, b) => a.minTime - b.minTime)[0]!;
  const limitMs = Math.floor((endMs - oldest.maxTime) / HOUR_MS) * HOUR_MS;
  const limit = formatDurationMs(limitMs);
  const set = await dataOf(post(server.url, RETENTION, { json: { retention: limit } }));
  expect(set).toMatchObject({ retention: limit, origin: { retention: "api", retention_size: "default" } });
  const left = await until("blocks past the retention to go", async () => {
    const { blocks } = await blocksOf(server.url);
    return blocks.every(({ maxTime }) => maxTime >= endMs - limitMs) ? blocks : undefined;
  });
  expect(left.length).toBeLessThan(before.blocks.length);
  await until("their files to go", () =>
    readdirSync(join(server.dataDir, "blocks")).filter((name) => !name.startsWith(".")).length === left.length
      ? true
      : undefined,
  );
  const { samples } = await samplesOf(server.url, 'free_bytes{host="8"}', startMs, oldest.maxTime - 1);
  expect(samples.size).toBe(0);
  const old = await sendWrite(server.url, [
    { labels: { __name__: "up" }, samples: [{ timestamp: Date.now() - limitMs - HOUR_MS, value: 1 }] },
  ]);
  expect(old.status, old.text).toBe(400);
  expect(old.text).toContain("retention");
  await restart("SIGTERM");
  expect(await retention()).toMatchObject({ retention: limit, origin: { retention: "api" } });
  const back = await dataOf(post(server.url, RETENTION, { json: { retention: null } }));
  expect(back).toMatchObject({ retention: "30d", origin: { retention: "default" } });
  await restart("SIGKILL");
  expect(await retention()).toMatchObject({ retention: "30d", origin: { retention: "default" } });
});

test("what is asked wrongly is refused with what to send instead", async () => {
  const setting = "/api/v1/admin/retention";
  const deleting = "/api/v1/admin/tsdb/delete_series";
  const table: readonly (readonly [path: string, json: unknown, error: string])[] = [
    [setting, { retention: "60" }, 'retention is "60": expected a duration from 1ms to 100y, such as 30d or 720h'],
    [setting, { retenton: "60d" }, 'There is no setting "retenton" here; did you mean "retention"?'],
    [setting, {}, 'Nothing to set. Send JSON such as {"retention": "60d"}'],
    [deleting, undefined, "no match[] parameter provided"],
    [`${deleting}?match[]=up{`, undefined, 'invalid parameter "match[]": 1:4: parse error: unexpected end of input'],
    [`${deleting}?match[]={a=""}`, undefined, "match[] must contain at least one non-empty matcher"],
    [`${deleting}?match[]=up&start=5&end=3`, undefined, "end timestamp must not be before start timestamp"],
    [`${deleting}?match[]=up&end=soon`, undefined, 'cannot parse "soon" to a valid timestamp'],
    [`${deleting}?match[]=up&dry_run=maybe`, undefined, '"maybe" is neither true nor false'],
    ["/api/v1/admin/tsdb/snapshot?skip_head=x", undefined, '"x" is neither true nor false'],
  ];
  for (const [path, json, error] of table) {
    const answer = await post(server.url, path, json === undefined ? {} : { json });
    expect([answer.status, answer.error], path).toEqual([400, expect.stringContaining(error)]);
  }
});

test("a configuration file counts when its content changes, on SIGHUP and on reload, but not with a mistake", async () => {
  await server.program.stop();
  const text = (retained: string, level: string, more = ""): string =>
    `storage:\n  retention: ${retained}\nlogging:\n  level: ${level}\n${more}`;
  const file = workspace.write("tsdb.yml", text("31d", "info"));
  const replace = (content: string): void => {
    // As an editor does it, or a ConfigMap: the file is another one.
    writeFileSync(`${file}.new`, content);
    renameSync(`${file}.new`, file);
  };
  const flags = [`--config=${file}`];
  server = await startTsdb(workspace, { flags, port: await freePort() });
  expect(await retention()).toMatchObject({ retention: "31d", origin: { retention: `${file}:2` } });
  const retained = (wanted: string): Promise<boolean> =>
    until(`a retention of ${wanted}`, async () => ((await retention()).retention === wanted ? true : undefined));

  replace(text("32d", "debug"));
  await retained("32d");
  writeFileSync(file, text("33d", "debug"));
  server.program.signal("SIGHUP");
  await retained("33d");
  replace(text("34d", "info"));
  const reloading = await post(server.url, "/-/reload");
  expect(reloading.status).toBe(200);
  await retained("34d");

  replace(text("soon", "info"));
  expect(await post(server.url, "/-/reload")).toMatchObject({
    status: 500,
    error: "The configuration was not reloaded, the one before stays in force; the server's log names the mistake",
  });
  expect(await retention()).toMatchObject({ retention: "34d" });
  expect(server.program.log()).toContain(`${file}:2`);

  // What the API sets goes before the file, until the file says something else than it did.
  await dataOf(post(server.url, RETENTION, { json: { retention: "36d" } }));
  replace(text("34d", "info", "managed: true\n"));
  expect((await post(server.url, "/-/reload")).data).toEqual({ applied: { managed: "true" }, needRestart: {} });
  expect(await retention()).toMatchObject({ retention: "36d", origin: { retention: "api" } });
  expect(await post(server.url, RETENTION, { json: { retention: "37d" } })).toMatchObject({
    status: 409,
    error: expect.stringContaining("Set storage.retention there") as string,
  });
  replace(text("38d", "info", "managed: true\n"));
  await retained("38d");
  expect(await retention()).toMatchObject({ origin: { retention: `${file}:2` } });
});

test("of a block with a damaged chunk all else is served, and a warning names what is missing", async () => {
  const { blocks } = await blocksOf(server.url);
  const victim = blocks.toSorted((a, b) => a.minTime - b.minTime)[0]!;
  const everything = '{__name__=~".+"}';
  const whole = await samplesOf(server.url, everything, victim.minTime, endMs);
  const chunks = join(server.dataDir, "blocks", victim.ulid, "chunks", "000001");
  flip(chunks, statSync(chunks).size / 2);

  const check = async (): Promise<void> => {
    const { samples, warnings } = await samplesOf(server.url, everything, victim.minTime, endMs);
    const found = warnings.map((warning) =>
      /^Samples from (\S+) to (\S+) are missing from the result: (.*)$/.exec(warning),
    );
    expect(found, warnings.join()).toEqual([expect.anything()]);
    const [mint, maxt] = [Date.parse(found[0]![1]!), Date.parse(found[0]![2]!)];
    expect([mint >= victim.minTime, maxt < victim.maxTime, maxt > mint]).toEqual([true, true, true]);
    expect(found[0]![3]).toContain(victim.ulid);
    const incomplete = [...whole.samples].filter(([key, all]) => samples.get(key)?.size !== all.size);
    expect(incomplete.length).toBe(1);
    const [key, all] = incomplete[0]!;
    const expected = [...all].filter(([time]) => time < mint || time > maxt);
    expect([...samples.get(key)!]).toEqual(expected);
    for (const [other, values] of whole.samples)
      if (other !== key) expect([...samples.get(other)!], other).toEqual([...values]);
  };
  await check();
  const damaged = await until("it to be told", async () => (await blocksOf(server.url)).damaged[victim.ulid]);
  expect(damaged).toMatch(/^chunks\/000001 at byte \d+: /);
  expect((await blocksOf(server.url)).quarantined).toEqual([]);
  await check();
  await restart("SIGTERM");
  await check();
});

test("a block with a damaged index is set aside, and what is left is served with a warning that names the range", async () => {
  const { blocks } = await blocksOf(server.url);
  const victim = blocks.toSorted((a, b) => b.minTime - a.minTime)[0]!;
  const selector = 'free_bytes{host="9"}';
  const whole = await samplesOf(server.url, selector, startMs, endMs);
  await server.program.stop();
  const index = join(server.dataDir, "blocks", victim.ulid, "index");
  flip(index, statSync(index).size - 10);
  server = await startTsdb(workspace);

  const { quarantined } = await blocksOf(server.url);
  expect(quarantined).toMatchObject([{ ulid: victim.ulid, minTime: victim.minTime, maxTime: victim.maxTime }]);
  expect(quarantined[0]!.reason).toContain("index");
  const time = (ms: number): string => new Date(ms).toISOString();
  const range = `Samples from ${time(victim.minTime)} to ${time(victim.maxTime - 1)} are missing from the result`;
  const check = async (): Promise<void> => {
    const { samples, warnings } = await samplesOf(server.url, selector, startMs, endMs);
    expect(warnings).toContainEqual(expect.stringContaining(`${range}: block ${victim.ulid} was set aside: `));
    const [[, left], [, before]] = [[...samples][0]!, [...whole.samples][0]!];
    expect([...left]).toEqual([...before].filter(([at]) => at < victim.minTime || at >= victim.maxTime));
    const later = await samplesOf(server.url, selector, victim.maxTime, endMs);
    expect([later.warnings, [...later.samples.values()][0]!.size > 0]).toEqual([[], true]);
  };
  await check();
  await restart("SIGKILL");
  await check();
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[Math.floor(at)]! ^= 0x10;
  // In place, as a disk does it: whoever has the file open sees it.
  const fd = openSync(file, "r+");
  writeSync(fd, bytes);
  closeSync(fd);
}
