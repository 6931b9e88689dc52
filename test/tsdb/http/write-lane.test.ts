/** The short way of write requests answers what Node's HTTP would. */
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import { readPlainHead } from "../../../src/tsdb/http/plain-head.ts";
import type { WriteResult } from "../../../src/tsdb/storage.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { listen, testApp, type TestApp } from "./fakes.ts";

const STORED: WriteResult = { accepted: 1, duplicates: 0, rejections: [] };

/** An app whose connections are all Node's, as if there were no short way: the reference. */
function nodeApp(): TestApp {
  const built = testApp();
  const [nodesOwn] = createServer().listeners("connection");
  built.app.server.removeAllListeners("connection");
  built.app.server.on("connection", nodesOwn as (socket: Socket) => void);
  return built;
}

/** Sends pieces one after another and a last request that ends the connection; resolves with all that came back. */
async function talk(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let text = "";
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.on("error", () => {});
  for (const piece of pieces) {
    socket.write(piece);
    await sleep(2);
  }
  await Promise.race([closed, vi.waitUntil(() => text !== "", { timeout: 100, interval: 2 }).catch(() => {})]);
  socket.write("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await Promise.race([closed, sleep(200)]);
  socket.destroy();
  return text;
}

/** Statuses and bodies: the rest differs in the date, and in what Fastify adds to the last answer. */
const answersIn = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n(\{[^\r\n]*\})?/g)].map(([, status, body = ""]) => status + body);

const TYPE = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
const head = (fields: string, line = "POST /api/v1/write HTTP/1.1"): string => `${line}\r\n${fields}\r\n`;
const PLAIN = head(`Host: x\r\nUser-Agent: Prometheus/3.16.0\r\nContent-Length: 5\r\n${TYPE}`);

/** Heads of a body of five bytes, good and bad ones; each with whether the short way takes it. */
const heads: readonly [head: string, isPlain: boolean][] = [
  [PLAIN, true],
  [PLAIN.toLowerCase().replace("post /api/v1/write http", "POST /api/v1/write HTTP"), true],
  [PLAIN.replace("Content-Length: 5", "Content-Length:5  "), true],
  [PLAIN.replace("Content-Length: 5", "content-length: 0005"), true],
  [PLAIN.replace("application/x-protobuf", "application/json").replace("Content-Encoding: snappy\r\n", ""), true],
  [PLAIN.replace("application/x-protobuf", "text/plain"), true],
  [PLAIN.replace("snappy", "gzip"), true],
  [PLAIN.replace("Host: x\r\n", ""), false],
  [PLAIN.replace("Host: x\r\n", "Host: x\r\nHost: y\r\n"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: +5"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5, 5"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 0x5"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nContent-Length: 5"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length : 5"), false],
  [PLAIN.replace("Content-Length: 5", " Content-Length: 5"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nTransfer-Encoding: chunked"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\n folded: 1"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\nX: y"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nX: \u0000"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nX: caf\u00e9"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nNo colon"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\n: no name"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nConnection: keep-alive"), false],
  [PLAIN.replace("Content-Length: 5", "Content-Length: 5\r\nExpect: 100-continue"), false],
  [PLAIN.replace("HTTP/1.1", "HTTP/1.0"), false],
  [PLAIN.replace("HTTP/1.1", "HTTP/2.0"), false],
  [PLAIN.replace("/api/v1/write", "/api/v1/write?x=1"), false],
  [PLAIN.replace("/api/v1/write", "/api/v1/other"), false],
  [PLAIN.replace("POST", "PUT"), false],
  [PLAIN.replace("POST ", "POST  "), false],
  [`\r\n${PLAIN}`, false],
];

/** Both ways side by side. */
async function bothWays() {
  const short = testApp();
  const node = nodeApp();
  const ports = [await listen(short.app), await listen(node.app)] as const;
  return async (pieces: readonly (string | Buffer)[]) => {
    const [answers, expected] = await Promise.all([talk(ports[0], pieces), talk(ports[1], pieces)]);
    const result = {
      answers: answersIn(answers),
      expected: answersIn(expected),
      written: short.database.writes.splice(0),
      expectedWritten: node.database.writes.splice(0),
    };
    return result;
  };
}

test("the short way takes plain heads and leaves all others to Node, and both answer alike", async () => {
  const ask = await bothWays();
  for (const [text, isPlain] of heads) {
    expect(readPlainHead(Buffer.from(`${text}abcde`, "latin1")) !== undefined, text).toBe(isPlain);
    const { answers, expected, written, expectedWritten } = await ask([Buffer.from(`${text}abcde`, "latin1")]);
    expect(answers, text).toEqual(expected);
    expect(written, text).toEqual(expectedWritten);
  }
});

test("heads with a few bytes changed are answered alike both ways", { timeout: 30_000 }, async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  const ask = await bothWays();
  const changed = (text: string): string => {
    const bytes = text.split("");
    for (let i = random.between(1, 3); i > 0; i--)
      bytes.splice(
        random.below(bytes.length),
        random.below(2),
        random.pick(["", ..."\r\n\t :,;5x\u0000\u007f\u00ff".split("")]),
      );
    return bytes.join("");
  };
  for (let round = 0; round < 60; round++) {
    const text = changed(PLAIN);
    // Bytes behind the body are judged at once by Node, and only after the answer on the short way.
    const isWhole =
      /^[^]{20,}content-length:[ \t]*5[ \t]*\r\n/i.test(text) && text.indexOf("\r\n\r\n") === text.length - 4;
    if (!isWhole) continue;
    const { answers, expected, written, expectedWritten } = await ask([Buffer.from(`${text}abcde`, "latin1")]);
    const origin = `SEED=${seed}, round ${round}: ${JSON.stringify(text)}`;
    expect(answers, origin).toEqual(expected);
    expect(written, origin).toEqual(expectedWritten);
  }
});

test("a request cut anywhere, and several in one piece, arrive whole and are answered in order", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  const request = Buffer.from(`${PLAIN}abcde`);
  for (let cut = 1; cut < request.length; cut += 7) {
    const answer = await talk(port, [request.subarray(0, cut), request.subarray(cut)]);
    expect(answersIn(answer), `cut at ${cut}`).toEqual(["204", "200"]);
  }
  const writes = database.writes.splice(0);
  expect(writes.every(({ body }) => Buffer.from(body).toString() === "abcde")).toBe(true);

  const waiting: ((result: WriteResult) => void)[] = [];
  database.answer = () => new Promise((resolve) => waiting.push(resolve));
  const three = ["first", "secon", "third"].map((body) => PLAIN + body).join("");
  const answer = talk(port, [three]);
  for (let i = 1; i <= 3; i++) {
    await vi.waitFor(() => expect(waiting).toHaveLength(i));
    waiting[i - 1]!(i === 2 ? { ...STORED, rejections: [{ reason: "too_old", count: 1, examples: [] }] } : STORED);
  }
  expect(answersIn(await answer).map((each) => each.slice(0, 3))).toEqual(["204", "400", "204", "200"]);
  expect(database.writes.map(({ body }) => Buffer.from(body).toString())).toEqual(["first", "secon", "third"]);
});

test("a connection that wrote may ask, and write again", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  const get = "GET /api/v1/rules HTTP/1.1\r\nHost: x\r\n\r\n";
  const answers = answersIn(await talk(port, [`${PLAIN}abcde`, `${PLAIN}abcde${get}${PLAIN}abcde`]));
  expect(answers.map((answer) => answer.slice(0, 3))).toEqual(["204", "204", "200", "204", "200"]);
  expect(database.writes).toHaveLength(3);
});

test("a body that is refused is read to its end, and the connection lives on", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  database.state = "replaying";
  const large = PLAIN.replace("Content-Length: 5", "Content-Length: 500000");
  const answer = talk(port, [large, Buffer.alloc(500_000), `${PLAIN}abcde`]);
  expect(answersIn(await answer).map((each) => each.slice(0, 3))).toEqual(["503", "503", "200"]);
  database.state = "writable";
  database.answer = () => Promise.reject(new TsdbError("OVERLOADED", "too much"));
  expect(await talk(port, [`${PLAIN}abcde`])).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n[^]*Retry-After: 2\r\n/);
  expect(database.writes).toHaveLength(1);
});

test("closing waits for the write in flight, answers it, and ends its connection and the idle ones", async () => {
  const { app, database } = testApp();
  const port = await listen(app);
  const { promise, resolve } = Promise.withResolvers<WriteResult>();
  database.answer = () => promise;
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (data) => (answer += data.toString()));
  socket.write(`${PLAIN}abcde`);
  const silent = connect(port, "127.0.0.1");
  silent.on("error", () => {});
  const ended = [socket, silent].map((each) => once(each, "close"));
  await vi.waitFor(() => expect(database.writes).toHaveLength(1));
  const closed = app.close();
  await ended[1];
  resolve(STORED);
  await Promise.all([closed, ...ended]);
  expect(answer).toMatch(/^HTTP\/1\.1 204 No Content\r\n[^]*Connection: close\r\n/);
});
