import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, onTestFinished, test, vi } from "vitest";
import { AnswerStream } from "../../../src/tsdb/query/answer-stream.ts";
import type { WriteResult } from "../../../src/tsdb/storage.ts";
import { listen, testApp } from "./fakes.ts";

const server = { readTimeoutMs: 1000, writeTimeoutMs: 1000, connectionsMax: 50 };

/** Sends `text`, then `drip` again and again; resolves with what came back once the connection is closed. */
function talk(port: number, text: string, drip?: string): Promise<{ readonly answer: string; readonly ms: number }> {
  const startMs = performance.now();
  const socket = connect(port, "127.0.0.1");
  const timer = drip === undefined ? undefined : setInterval(() => socket.write(drip), 100);
  onTestFinished(() => void socket.destroy());
  let answer = "";
  socket.on("data", (data) => (answer += data.toString("latin1")));
  socket.on("error", () => {});
  socket.write(text);
  return new Promise((resolve) =>
    socket.on("close", () => {
      clearInterval(timer);
      resolve({ answer, ms: performance.now() - startMs });
    }),
  );
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

const WRITE =
  "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";

test("headers and bodies that only drip in are cut off, while others are served", async () => {
  const { app } = testApp({ server });
  const port = await listen(app);
  const drips = [
    talk(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n", "X: y\r\n"),
    talk(port, `${WRITE}Content-Length: 100000\r\n\r\n`, "z"),
    talk(
      port,
      "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99999\r\n\r\n",
      "z",
    ),
  ];
  await sleep(500);
  expect((await fetch(`http://127.0.0.1:${port}/-/healthy`)).status).toBe(200);
  for (const { answer, ms } of await Promise.all(drips)) {
    expect(statusOf(answer)).toBe(408);
    expect(answer).toContain('{"status":"error","errorType":"bad_data","error":"The request took too long to arrive"}');
    expect(ms).toBeLessThan(4000);
  }
});

test("what is ambiguous or no HTTP is refused with 400, headers without end with 431", async () => {
  const { app, database } = testApp({ server });
  const port = await listen(app);
  const cases: [request: string, status: number][] = [
    [`${WRITE}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    [`${WRITE}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, 400],
    [`${WRITE}Content-Length: -1\r\n\r\n`, 400],
    [`${WRITE}Transfer-Encoding: xchunked\r\n\r\n`, 400],
    [`${WRITE}Content-Length : 3\r\n\r\nabc`, 400],
    ["GET /-/healthy HTTP/1.1\r\n\r\n", 400], // no Host
    ["\x16\x03\x01\x02\x00\x01\x00", 400], // TLS to the plain port
    [`GET /?${"x".repeat(200_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ];
  for (const [request, status] of cases)
    expect(statusOf((await talk(port, request)).answer), request.slice(0, 200)).toBe(status);
  expect(database.writes).toEqual([]);
});

test("a query string of 60 kB is read", async () => {
  const { app, queries } = testApp({ server });
  const port = await listen(app);
  const selector = encodeURIComponent(`{a="${"x".repeat(20_000)}"}`);
  const response = await fetch(
    `http://127.0.0.1:${port}/api/v1/series?match[]=${selector}&match[]=${selector}&match[]=${selector}`,
  );
  expect(response.status).toBe(200);
  expect(queries.jobs).toHaveLength(1);
});

test("connections beyond the limit are closed at once", async () => {
  const { app } = testApp({ server: { ...server, connectionsMax: 2 } });
  const port = await listen(app);
  const open = [talk(port, "GET"), talk(port, "GET")];
  await sleep(50);
  expect((await talk(port, "GET / HTTP/1.1\r\n")).answer).toBe("");
  void open;
});

test("closing waits for the request in flight and for no idle connection", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  const { promise, resolve } = Promise.withResolvers<WriteResult>();
  database.answer = () => promise;
  const inFlight = talk(port, `${WRITE}Content-Length: 3\r\n\r\nabc`);
  const idle = talk(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
  while (database.writes.length === 0) await sleep(1);
  const startMs = performance.now();
  const closed = app.close();
  await idle;
  await sleep(200);
  resolve({ accepted: 1, duplicates: 0, rejections: [] });
  expect(statusOf((await inFlight).answer)).toBe(204);
  await closed;
  expect(performance.now() - startMs).toBeLessThan(2000);
});

test("a client that takes nothing of its answer is cut off, one that waits long for it is not", async () => {
  const { app, queries } = testApp({ server });
  const port = await listen(app);
  queries.answer = async () => new Uint8Array(30_000_000);
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  socket.pause();
  socket.write("GET /api/v1/query?query=x HTTP/1.1\r\nHost: x\r\n\r\n");
  const count = promisify(app.server.getConnections.bind(app.server));
  while (queries.jobs.length === 0) await sleep(5);
  await vi.waitFor(async () => expect(await count()).toBe(0), { timeout: 10_000 });

  const stream = new AnswerStream(
    () => {},
    () => {},
  );
  queries.answer = async () => stream;
  stream.add(Buffer.from("first "), false);
  const answer = fetch(`http://127.0.0.1:${port}/api/v1/query?query=x`).then((response) => response.text());
  await sleep(2500);
  stream.add(Buffer.from("last"), true);
  expect(await answer).toBe("first last");
});
