import { expect, test } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import { bodyOf, testApp } from "./fakes.ts";

const RETENTION = "/api/v1/admin/retention";
const DAY_MS = 86_400_000;

test("a database is made read-only and writable again, and the answer says which state that gave", async () => {
  const { app, database } = testApp();
  database.state = "readonly-manual";
  const readOnly = await app.inject({ method: "POST", url: "/api/v1/admin/readonly" });
  expect(readOnly.statusCode).toBe(200);
  expect(database.admin.isReadOnly).toBe(true);
  expect(bodyOf(readOnly)).toEqual({
    status: "success",
    data: {
      state: "readonly-manual",
      reason: "The database takes no writes: it was made read-only; POST /api/v1/admin/writable ends that",
    },
  });
  database.state = "writable";
  expect((await app.inject({ method: "POST", url: "/api/v1/admin/writable" })).statusCode).toBe(200);
  expect(database.admin.isReadOnly).toBe(false);
});

test("the retention is set as the operations guide does it: JSON that curl calls a form", async () => {
  const { app, database } = testApp();
  for (const [contentType, payload] of [
    ["application/x-www-form-urlencoded", '{"retention": "60d"}'],
    ["application/json", '{"retention": "60d"}'],
    ["application/json; charset=utf-8", '{"retention": "60d"}'],
    ["application/x-www-form-urlencoded", "retention=60d"],
  ] as const) {
    const response = await app.inject({
      method: "POST",
      url: RETENTION,
      headers: { "content-type": contentType },
      payload,
    });
    expect(response.statusCode, payload).toBe(200);
    expect(database.admin.retentionChanges.pop()).toEqual({ ageMs: 60 * DAY_MS });
  }
});

test("limits by size and share are set in the same way, and taken back with null", async () => {
  const { app, database } = testApp();
  const payload = '{"retention": null, "retention_size": "50GB", "retention_percent": 80}';
  expect((await app.inject({ method: "POST", url: RETENTION, payload })).statusCode).toBe(415);
  const headers = { "content-type": "application/json" };
  expect((await app.inject({ method: "POST", url: RETENTION, headers, payload })).statusCode).toBe(200);
  expect(database.admin.retentionChanges).toEqual([{ ageMs: null, sizeBytesMax: 50 * 2 ** 30, volumePercentMax: 80 }]);
});

test("the retention is shown with the place it comes from", async () => {
  const { app, database } = testApp();
  database.admin.retention = {
    settings: { ageMs: 60 * DAY_MS, sizeBytesMax: 0, volumePercentMax: 0 },
    overridden: { ageMs: true, sizeBytesMax: false, volumePercentMax: false },
  };
  expect(bodyOf(await app.inject(RETENTION))["data"]).toEqual({
    retention: "60d",
    retention_size: "0",
    retention_percent: 0,
    origin: { retention: "api", retention_size: "default", retention_percent: "default" },
  });
});

test("what cannot be set is refused with what can", async () => {
  const { app, database } = testApp();
  const headers = { "content-type": "application/json" };
  for (const [payload, error] of [
    ["{}", 'Nothing to set. Send JSON such as {"retention": "60d"}'],
    ['{"retention": 60}', "retention is 60: expected a duration from 1ms to 100y, such as 30d or 720h"],
    ['{"retention": "0"}', 'retention is "0": expected a duration from 1ms to 100y, such as 30d or 720h'],
    [
      '{"retention_percent": 101}',
      "retention_percent is 101: expected a whole number from 0, which is no limit, to 100",
    ],
    ['{"retention_size": []}', "retention_size is []: expected a size such as 50GB, or 0 for no limit"],
    ['{"foo": 1}', 'There is no setting "foo" here. Allowed: retention, retention_size, retention_percent'],
    [
      '{"retenton": "60d"}',
      'There is no setting "retenton" here; did you mean "retention"? Allowed: retention, retention_size, retention_percent',
    ],
  ] as const) {
    const response = await app.inject({ method: "POST", url: RETENTION, headers, payload });
    expect(response.statusCode, payload).toBe(400);
    expect(bodyOf(response)).toEqual({ status: "error", errorType: "bad_data", error });
  }
  expect((await app.inject({ method: "POST", url: RETENTION, headers, payload: "{" })).statusCode).toBe(400);
  expect(database.admin.retentionChanges).toEqual([]);
});

test("a managed server refuses to be set over the API, and names the key to change", async () => {
  const { app, database, config } = testApp();
  config.isManaged = () => true;
  const headers = { "content-type": "application/json" };
  const payload = '{"retention": "60d", "retention_size": "1GB"}';
  const response = await app.inject({ method: "POST", url: RETENTION, headers, payload });
  expect(response.statusCode).toBe(409);
  expect(bodyOf(response)).toEqual({
    status: "error",
    errorType: "bad_data",
    error:
      "This server's settings come from its configuration file alone (managed: true). " +
      "Set storage.retention and storage.retention_size there: the file is read again when it changes",
  });
  expect(database.admin.retentionChanges).toEqual([]);
  expect((await app.inject(RETENTION)).statusCode, "it may be looked at").toBe(200);
});

test("a managed server is made read-only by its configuration alone; what was so by hand can be taken back", async () => {
  const { app, database, config } = testApp();
  config.isManaged = () => true;
  const post = async (path: string) => app.inject({ method: "POST", url: `/api/v1/admin/${path}` });
  const refusal = {
    status: "error",
    errorType: "bad_data",
    error:
      "This server's settings come from its configuration file alone (managed: true). " +
      "Set storage.read_only there: the file is read again when it changes",
  };
  const refused = await post("readonly");
  expect([refused.statusCode, bodyOf(refused)]).toEqual([409, refusal]);
  database.state = "readonly-manual";
  expect((await post("writable")).statusCode).toBe(200);
  database.isConfiguredReadOnly = true;
  const configured = await post("writable");
  expect([configured.statusCode, bodyOf(configured)]).toEqual([409, refusal]);
});

test("samples are deleted with Prometheus' parameters and answer, or counted", async () => {
  const { app, database } = testApp();
  const url = "/api/v1/admin/tsdb/delete_series";
  const query = "match[]=up&match[]=%7Bjob%3D%22a%22%7D&start=1700000000&end=2023-11-14T22:14:20Z";
  const response = await app.inject({ method: "POST", url: `${url}?${query}` });
  expect([response.statusCode, response.body]).toEqual([204, ""]);
  const asked = { selectors: ["up", '{job="a"}'], mint: 1_700_000_000_000, maxt: 1_700_000_060_000 };
  expect(database.admin.deletes).toEqual([{ ...asked, isDryRun: false }]);

  database.admin.deleted = { blocks: ["01H"], seriesCount: 2, sampleCount: 240, headSeriesCount: 1 };
  const counted = await app.inject({ method: "PUT", url: `${url}?${query}&dry_run=true` });
  expect(counted.statusCode).toBe(200);
  expect(bodyOf(counted)["data"]).toEqual(database.admin.deleted);
  expect(database.admin.deletes.at(-1)).toEqual({ ...asked, isDryRun: true });

  for (const [bad, error] of [
    ["", "no match[] parameter provided"],
    ["?match[]=up&start=2&end=1", "end timestamp must not be before start timestamp"],
    ["?match[]=up&dry_run=maybe", 'unable to parse boolean "dry_run" argument: "maybe" is neither true nor false'],
  ] as const) {
    const refused = await app.inject({ method: "POST", url: url + bad });
    expect([refused.statusCode, bodyOf(refused)["error"]]).toEqual([400, error]);
  }
  database.admin.deleteSeries = () => Promise.reject(new TsdbError("BAD_QUERY", "1:4: parse error: no"));
  const unparsed = await app.inject({ method: "POST", url: `${url}?match[]=up{` });
  expect(bodyOf(unparsed)["error"]).toBe('invalid parameter "match[]": 1:4: parse error: no');
});

test("tombstones are cleaned, snapshots are named, merges are told of", async () => {
  const { app, database } = testApp();
  const cleaned = await app.inject({ method: "POST", url: "/api/v1/admin/tsdb/clean_tombstones" });
  expect([cleaned.statusCode, cleaned.body, database.admin.cleanings]).toEqual([204, "", 1]);
  const taken = await app.inject({ method: "POST", url: "/api/v1/admin/tsdb/snapshot?skip_head=true" });
  expect(bodyOf(taken)).toEqual({ status: "success", data: { name: "20260101T000000Z-0102030405060708" } });
  expect(database.admin.snapshots).toEqual([{ skipHead: true }]);
  database.admin.merges = [{ sources: ["01A", "01B"], block: "01C" }];
  const merged = await app.inject({ method: "POST", url: "/api/v1/admin/compact" });
  expect(bodyOf(merged)["data"]).toEqual({ cut: [], merges: database.admin.merges, deletedBlocks: 0 });
});

test("blocks are shown as Prometheus does, and what is missing beside them", async () => {
  const { app, database } = testApp();
  const meta = {
    ulid: "01H",
    minTime: 0,
    maxTime: 7_200_000,
    stats: { numSamples: 1, numSeries: 1, numChunks: 1 },
    compaction: { level: 1, sources: ["01H"] },
    version: 1,
  } as const;
  database.admin.blocks = [{ meta, sizeBytes: 99, hasTombstones: false, tombstonesVersion: 0, damage: "bad" }];
  database.admin.missing = [{ ulid: "01B", minTime: -Infinity, maxTime: 5, reason: "index at byte 7: checksum" }];
  expect(bodyOf(await app.inject("/api/v1/status/tsdb/blocks"))["data"]).toEqual({
    blocks: [meta],
    sizes: { "01H": 99 },
    damaged: { "01H": "bad" },
    quarantined: [{ ulid: "01B", minTime: null, maxTime: 5, reason: "index at byte 7: checksum" }],
  });
  database.admin.jobs = [{ kind: "compact", subject: "3 blocks", startedAtMs: 5, progress: undefined }];
  expect(bodyOf(await app.inject("/api/v1/status/maintenance"))["data"]).toMatchObject({
    running: [{ kind: "compact", subject: "3 blocks" }],
    jobs: { compact: { doneTotal: 0 } },
    blocks: 1,
    quarantined: 1,
  });
});
