import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { AnswerStream } from "../../../src/tsdb/query/answer-stream.ts";
import { QueryPool } from "../../../src/tsdb/query/pool.ts";
import type { QueryAnswer, QueryPoolOptions } from "../../../src/tsdb/query/pool.ts";
import { CREDITS_AT_START } from "../../../src/tsdb/query/protocol.ts";
import type { QueryJob } from "../../../src/tsdb/query/protocol.ts";
import { HEAD_ONLY } from "../../../src/tsdb/storage.ts";

const never = new AbortController().signal;
const instant = (query: string): QueryJob => ({ kind: "instant", query, timeMs: 0, lookbackDeltaMs: 0, limit: 0 });

/** A pool of fake workers on numbered slots, of which `attached` are in use. */
function fakePool(options: Partial<QueryPoolOptions> = {}) {
  const attached = new Set<number>();
  let nextSlot = 0;
  const pool = new QueryPool({
    entry: new URL("./fake-worker.ts", import.meta.url),
    size: 1,
    queueLengthMax: 10,
    queueWaitMsMax: 10_000,
    writeTimeoutMs: 10_000,
    stopGraceMs: 1000,
    heapMegabytesMax: 64,
    limits: { samplesMax: 1e6, seriesMax: 1e6, memoryBytesMax: 1e9 },
    attach: () => {
      const slot = nextSlot++;
      attached.add(slot);
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      return { module: emptyModule, memory, slot, chunkDir: "" };
    },
    detach: (slot) => void attached.delete(slot),
    blocks: { dir: "", cacheBytesMax: 0 },
    acquireView: () => ({ view: HEAD_ONLY, release: () => undefined }),
    clock: systemClock,
    log: silentLogger,
    ...options,
  });
  onTestFinished(() => pool.close());
  const ask = (query: string, { timeoutMs = 10_000, signal = never } = {}) =>
    pool.run(instant(query), { timeoutMs, signal });
  return { pool, attached, ask };
}
const emptyModule = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));

/** What messages are compared with where only a part matters. */
const containing = (text: string): unknown => expect.stringContaining(text);

const textOf = (answer: QueryAnswer): string => {
  expect(answer).toBeInstanceOf(Uint8Array);
  return Buffer.from(answer as Uint8Array).toString();
};

function streamOf(answer: QueryAnswer): AnswerStream {
  expect(answer).toBeInstanceOf(AnswerStream);
  return answer as AnswerStream;
}

const closed = (stream: AnswerStream) => new Promise((resolve) => stream.once("close", resolve));

test("an answer of one piece comes whole, from a worker that was started for it and stays", async () => {
  const { pool, ask } = fakePool();
  expect(pool.stats()).toMatchObject({ running: 0, workersStartedTotal: 0 });
  expect(textOf(await ask("echo a"))).toBe("a from slot 0");
  expect(textOf(await ask("echo b"))).toBe("b from slot 0");
  expect(pool.stats()).toEqual({ size: 1, running: 0, waiting: 0, workersStartedTotal: 1, workersLostTotal: 0 });
});

test("queries run side by side up to the pool's size, the others wait their turn", async () => {
  const { pool, ask } = fakePool({ size: 2 });
  const hangUp = new AbortController();
  const busy = ask("check", { signal: hangUp.signal });
  const others = [ask("echo 1"), ask("echo 2"), ask("echo 3")];
  expect(pool.stats()).toMatchObject({ running: 2, waiting: 2 });
  expect((await Promise.all(others)).map(textOf)).toEqual([1, 2, 3].map((n) => `${n} from slot 1`));
  hangUp.abort();
  await expect(busy).rejects.toMatchObject({ code: "QUERY_CANCELED" });
});

test("a long answer streams piece by piece, in order and complete", async () => {
  const { ask } = fakePool();
  const hundred = streamOf(await ask("pieces 100"));
  let bytes = 0;
  for await (const piece of hundred as AsyncIterable<Buffer>) {
    expect(piece[0]).toBe(Math.floor(bytes / 65_536));
    bytes += piece.length;
  }
  expect(bytes).toBe(100 * 65_536);
  expect(textOf(await ask("echo next"))).toBe("next from slot 0");
});

test("a client that does not read holds the worker back, and is given up after the write timeout", async () => {
  const { pool, ask } = fakePool({ writeTimeoutMs: 300 });
  const stream = streamOf(await ask("pieces 1000"));
  await sleep(150);
  expect(pool.stats().running).toBe(1);
  // What the worker may send unasked, and what the stream took before it was full.
  expect(stream.readableLength).toBeLessThanOrEqual((CREDITS_AT_START + 3) * 65_536);
  await closed(stream);
  expect(stream.errored).toMatchObject({
    code: "QUERY_CANCELED",
    message: "query was canceled: its client took nothing for 300 ms",
  });
  expect(textOf(await ask("echo next"))).toBe("next from slot 0");
});

test("a client that hangs up stops its query within ms, running, waiting or half answered", async () => {
  const { pool, ask } = fakePool();
  await ask("echo warm");
  const hangUps = [new AbortController(), new AbortController()] as const;
  const running = ask("check", { signal: hangUps[0].signal });
  const waiting = ask("check", { signal: hangUps[1].signal });
  await sleep(50);
  hangUps[1].abort();
  await expect(waiting).rejects.toMatchObject({ code: "QUERY_CANCELED" });
  const startMs = performance.now();
  hangUps[0].abort();
  await expect(running).rejects.toMatchObject({ code: "QUERY_CANCELED" });
  expect(textOf(await ask("echo next"))).toBe("next from slot 0");
  expect(performance.now() - startMs).toBeLessThan(200);

  streamOf(await ask("pieces 100000")).destroy();
  expect(textOf(await ask("echo next"))).toBe("next from slot 0");
  expect(pool.stats()).toMatchObject({ workersStartedTotal: 1, workersLostTotal: 0 });
});

test("a query ends at its deadline, and a worker that heeds none is ended and replaced", async () => {
  const { pool, attached, ask } = fakePool({ stopGraceMs: 300 });
  await ask("echo warm");
  await expect(ask("check", { timeoutMs: 100 })).rejects.toMatchObject({
    code: "QUERY_TIMEOUT",
    message: "query timed out in expression evaluation",
  });
  expect(pool.stats().workersLostTotal).toBe(0);
  await expect(ask("spin", { timeoutMs: 100 })).rejects.toMatchObject({ code: "QUERY_TIMEOUT" });
  expect(textOf(await ask("echo next"))).toBe("next from slot 1");
  expect([...attached]).toEqual([1]);
  expect(pool.stats()).toMatchObject({ workersStartedTotal: 2, workersLostTotal: 1 });
});

test("a query without a turn is refused: at once when the queue is full, else after the wait or its own deadline", async () => {
  const { ask } = fakePool({ queueLengthMax: 2, queueWaitMsMax: 100 });
  const hangUp = new AbortController();
  const busy = ask("check", { signal: hangUp.signal });
  const waits = ask("echo a");
  const shorter = ask("echo b", { timeoutMs: 50 });
  await expect(ask("echo c")).rejects.toMatchObject({
    code: "OVERLOADED",
    message: containing("2 queries wait"),
  });
  await expect(shorter).rejects.toMatchObject({ code: "QUERY_TIMEOUT", message: "query timed out in query queue" });
  await expect(waits).rejects.toMatchObject({
    code: "OVERLOADED",
    message: containing("busy for 100 ms"),
  });
  hangUp.abort();
  await expect(busy).rejects.toMatchObject({ code: "QUERY_CANCELED" });
});

test("a query that fails says why; after its answer has begun it breaks off", async () => {
  const { ask } = fakePool();
  await expect(ask("refuse")).rejects.toMatchObject({
    code: "QUERY_EXECUTION",
    message: "many-to-many matching not allowed",
  });
  await expect(ask("bug")).rejects.toMatchObject({
    code: "INTERNAL",
    message: containing("x is not a function"),
  });
  const stream = streamOf(await ask("begin-then-refuse"));
  stream.resume();
  await closed(stream);
  expect(stream.errored).toMatchObject({ code: "QUERY_LIMIT" });
});

test("a worker that dies fails its own query only, frees its slot, and is replaced", async () => {
  const { pool, attached, ask } = fakePool();
  const next = { code: "OVERLOADED", message: "The worker that ran this query ended; the query may be tried again" };
  await expect(ask("exit")).rejects.toMatchObject(next);
  expect(textOf(await ask("echo a"))).toBe("a from slot 1");
  await expect(ask("eat")).rejects.toMatchObject({
    code: "QUERY_LIMIT",
    message: containing("more memory"),
  });
  expect(textOf(await ask("echo b"))).toBe("b from slot 2");
  expect([...attached]).toEqual([2]);
  expect(pool.stats()).toMatchObject({ workersStartedTotal: 3, workersLostTotal: 2, running: 0 });
});

test("a query holds its view until its worker is done with it, however the query ends", async () => {
  let held = 0;
  let releases = 0;
  const acquireView = () => {
    held++;
    const release = () => {
      held--;
      releases++;
    };
    return { view: HEAD_ONLY, release };
  };
  const { ask } = fakePool({ acquireView });
  await ask("echo a");
  expect([held, releases]).toEqual([0, 1]);
  await expect(ask("refuse")).rejects.toMatchObject({ code: "QUERY_EXECUTION" });
  expect([held, releases]).toEqual([0, 2]);
  await expect(ask("exit")).rejects.toMatchObject({ code: "OVERLOADED" });
  expect([held, releases]).toEqual([0, 3]);

  await ask("echo warm");
  const hangUp = new AbortController();
  const busy = ask("spin", { signal: hangUp.signal });
  await sleep(50);
  hangUp.abort();
  await expect(busy).rejects.toMatchObject({ code: "QUERY_CANCELED" });
  // It heeds no stop: until it is ended it may read what it was given.
  expect([held, releases]).toEqual([1, 4]);
  await ask("echo after");
  expect([held, releases]).toEqual([0, 6]);
});

test("closing fails what runs and what waits, and frees all slots", async () => {
  const { pool, attached, ask } = fakePool();
  const queries = [ask("check"), ask("echo a")];
  await sleep(50);
  const closing = pool.close();
  for (const query of queries) await expect(query).rejects.toMatchObject({ code: "NOT_READY" });
  await closing;
  expect(attached.size).toBe(0);
  await expect(ask("echo late")).rejects.toMatchObject({ code: "NOT_READY" });
});

test("without a free reader slot a query waits for a worker that has one", async () => {
  const { ask } = fakePool({ attach: () => undefined, queueWaitMsMax: 50 });
  await expect(ask("echo a")).rejects.toMatchObject({ code: "OVERLOADED" });
});
