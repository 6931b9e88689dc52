import { connect } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import type { WriteResult } from "../../../src/tsdb/storage.ts";
import { bodyOf, listen, testApp } from "./fakes.ts";

const REMOTE_WRITE = { "content-type": "application/x-protobuf", "content-encoding": "snappy" };
const write = { method: "POST", url: "/api/v1/write" } as const;

test("a write says by its content type what it is, and anything else is refused with what would be taken", async () => {
  const cases = [
    { headers: REMOTE_WRITE, format: "remote-write" },
    {
      headers: { ...REMOTE_WRITE, "content-type": "application/x-protobuf;proto=prometheus.WriteRequest" },
      format: "remote-write",
    },
    { headers: { ...REMOTE_WRITE, "content-type": "Application/X-Protobuf; charset=utf-8" }, format: "remote-write" },
    { headers: { ...REMOTE_WRITE, "content-encoding": "Snappy" }, format: "remote-write" },
    { headers: { "content-type": "application/json" }, format: "json" },
    { headers: { "content-type": 'application/json;charset="UTF-8"', "content-encoding": "identity" }, format: "json" },
    { headers: { "content-type": "application/json; charset=utf-8" }, format: "json" },
    { headers: { ...REMOTE_WRITE, "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request" } },
    { headers: { "content-type": "application/x-protobuf" } },
    { headers: { "content-type": "application/x-protobuf", "content-encoding": "zstd" } },
    { headers: { "content-type": "application/json", "content-encoding": "gzip" } },
    { headers: { "content-type": "application/json; charset=utf-16" } },
    { headers: { "content-type": "text/plain" } },
    { headers: { "content-type": "application/x-www-form-urlencoded" } },
    { headers: {} },
  ];
  for (const { headers, format } of cases) {
    const { app, database } = testApp();
    const response = await app.inject({ ...write, headers, payload: Buffer.from("body") });
    if (format === undefined) {
      expect(response.statusCode).toBe(415);
      expect(response.json()).toMatchObject({ status: "error", errorType: "bad_data" });
      expect(bodyOf(response)["error"]).toContain("remote write 1.0");
      expect(database.writes).toEqual([]);
    } else {
      expect(response.statusCode).toBe(204);
      expect(response.body).toBe("");
      expect(database.writes).toEqual([{ format, body: Uint8Array.from(Buffer.from("body")) }]);
    }
  }
});

test("a write is answered once the database has it, and the answer tells what was refused and why", async () => {
  const rejections = [
    { reason: "out_of_order", count: 2, examples: ['cpu{host="a"} at 1000'] },
    { reason: "label_count", count: 1, examples: ["up has 50 labels"] },
  ] as const;
  const series_limit = { reason: "series_limit", count: 5, examples: [] } as const;
  const refused: { result: WriteResult; status: number; error: string; retryAfter: string | undefined }[] = [
    {
      result: { accepted: 7, duplicates: 0, rejections },
      status: 400,
      error:
        '7 samples stored, 3 refused: out_of_order 2 (cpu{host="a"} at 1000; ...); label_count 1 (up has 50 labels)',
      retryAfter: undefined,
    },
    {
      result: { accepted: 7, duplicates: 0, rejections: [...rejections, series_limit] },
      status: 503,
      error:
        '7 samples stored, 8 refused: out_of_order 2 (cpu{host="a"} at 1000; ...); label_count 1 (up has 50 labels); series_limit 5',
      retryAfter: "30",
    },
  ];
  for (const { result, status, error, retryAfter } of refused) {
    const { app, database } = testApp();
    database.answer = async () => result;
    const response = await app.inject({ ...write, headers: REMOTE_WRITE, payload: "x" });
    expect(response.statusCode).toBe(status);
    expect(response.headers["retry-after"]).toBe(retryAfter);
    expect(bodyOf(response)["error"]).toBe(error);
  }
});

test("what the database throws becomes the status of its code, and a bug becomes 500 without its text", async () => {
  const cases = [
    { thrown: new TsdbError("BAD_REQUEST", "snappy: corrupt input"), status: 400, text: "snappy: corrupt input" },
    { thrown: new TsdbError("OVERLOADED", "too many waiting"), status: 503, text: "too many waiting" },
    { thrown: new TsdbError("READ_ONLY", "fsync failed"), status: 503, text: "fsync failed" },
    {
      thrown: new TsdbError("IO", "EIO: /secret/path"),
      status: 500,
      text: "The server failed to answer; its log says why",
    },
    { thrown: new TypeError("x is undefined"), status: 500, text: "The server failed to answer; its log says why" },
  ];
  for (const { thrown, status, text } of cases) {
    const { app, database } = testApp();
    database.answer = () => Promise.reject(thrown);
    const response = await app.inject({ ...write, headers: REMOTE_WRITE, payload: "x" });
    expect(response.statusCode).toBe(status);
    expect(bodyOf(response)["error"]).toBe(text);
    expect(response.headers["retry-after"] === undefined).toBe(status !== 503);
  }
});

test("before it is writable the server refuses writes with 503, the progress and when to come back", async () => {
  const { app, database } = testApp();
  database.state = "replaying";
  const response = await app.inject({ ...write, headers: REMOTE_WRITE, payload: "x" });
  expect(response.statusCode).toBe(503);
  expect(response.headers["retry-after"]).toBe("5");
  expect(response.json()).toEqual({
    status: "error",
    errorType: "unavailable",
    error: "The database is replaying its write-ahead log: segment 1 of 4, 25% of the bytes",
  });
  database.state = "readonly-fault";
  expect(bodyOf(await app.inject({ ...write, headers: REMOTE_WRITE, payload: "x" }))["error"]).toContain(
    "takes no writes",
  );
  expect(database.writes).toEqual([]);
});

test("a body over the limit is refused by the limit's name, with its length given or not", async () => {
  const { app, database } = testApp({ bodyBytesMax: 1000 });
  const port = await listen(app);
  const fits = await fetch(`http://127.0.0.1:${port}/api/v1/write`, {
    method: "POST",
    headers: REMOTE_WRITE,
    body: Buffer.alloc(1000),
  });
  expect(fits.status).toBe(204);
  const chunked = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 3; i++) controller.enqueue(Buffer.alloc(400));
      controller.close();
    },
  });
  for (const body of [Buffer.alloc(1001), chunked]) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/write`, {
      method: "POST",
      headers: REMOTE_WRITE,
      body,
      duplex: "half",
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      error:
        "The body is larger than limits.max_body_size, 1000 bytes. " +
        "Send less in one request, or raise the limit with --max-body-size",
    });
  }
  expect(database.writes).toHaveLength(1);
});

test("bodies in several pieces and without a length arrive whole", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  const whole = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i & 255));
  const chunked = new ReadableStream({
    start(controller) {
      for (let i = 0; i < whole.length; i += 70_000) controller.enqueue(whole.subarray(i, i + 70_000));
      controller.close();
    },
  });
  for (const body of [whole, chunked]) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/write`, {
      method: "POST",
      headers: REMOTE_WRITE,
      body,
      duplex: "half",
    });
    expect(response.status).toBe(204);
    expect(Buffer.compare(Buffer.from(database.writes.pop()!.body), whole)).toBe(0);
  }
});

test("bodies beyond what may be in flight are refused before they are read, and room comes back", async () => {
  const { app, database } = testApp({ bodyBytesMax: 10_000, bodyBytesInFlightMax: 15_000 });
  const port = await listen(app);
  const url = `http://127.0.0.1:${port}/api/v1/write`;
  const post = (bytes: number) => fetch(url, { method: "POST", headers: REMOTE_WRITE, body: Buffer.alloc(bytes) });
  const { promise, resolve } = Promise.withResolvers<WriteResult>();
  database.answer = () => promise;
  const first = post(10_000);
  while (database.writes.length < 1) await sleep(1);
  const refused = await post(10_000);
  expect(refused.status).toBe(503);
  expect(refused.headers.get("retry-after")).toBe("2");
  const small = post(10);
  while (database.writes.length < 2) await sleep(1);
  // Small ones count as 4 KiB: the third of 10,000 + 4,096 + 4,096 has no room.
  expect((await post(10)).status).toBe(503);
  resolve({ accepted: 1, duplicates: 0, rejections: [] });
  expect((await first).status).toBe(204);
  expect((await small).status).toBe(204);
  expect((await post(10_000)).status).toBe(204);
});

test("a client that goes away in the middle of its body gives its room back", async () => {
  const { app } = testApp({ bodyBytesInFlightMax: 10_000 });
  const port = await listen(app);
  const socket = connect(port, "127.0.0.1");
  socket.write(
    "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nContent-Length: 9000\r\n\r\nabc",
  );
  const inFlight = async () =>
    Number(/^tsdb_write_body_bytes_in_flight (\d+)$/m.exec((await app.inject("/metrics")).body)?.[1]);
  while ((await inFlight()) !== 9000) await sleep(5);
  socket.destroy();
  await once(socket, "close");
  await vi.waitFor(async () => expect(await inFlight()).toBe(0));
});
