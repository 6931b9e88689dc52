import { expect, test } from "vitest";
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
    ['{"retention": 60}', "retention is 60: expected a duration such as 30d or 720h"],
    ['{"retention": "0"}', 'retention is "0": expected a duration such as 30d or 720h'],
    [
      '{"retention_percent": 101}',
      "retention_percent is 101: expected a whole number from 0, which is no limit, to 100",
    ],
    ['{"retention_size": []}', "retention_size is []: expected a size such as 50GB, or 0 for no limit"],
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
