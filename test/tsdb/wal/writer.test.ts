import { expect, onTestFinished, test, vi } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import { RECORD_MARK } from "../../../src/tsdb/wal/format.ts";
import { readLog } from "../../../src/tsdb/wal/log.ts";
import { SegmentList } from "../../../src/tsdb/wal/segments.ts";
import { type WalBatch, type WalSource, WalWriter, type WalWriterOptions } from "../../../src/tsdb/wal/writer.ts";
import { ManualClock } from "../../support/clock.ts";
import { rest } from "../../support/database.ts";
import { type FaultyVfs, faultyVfs } from "../../support/vfs/faulty.ts";
import { interceptVfs, type VfsCall } from "../../support/vfs/intercept.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { LOG_DIR, NotingVisitor, readFile, recordBytes } from "../../support/wal-files.ts";

/** Records of 40 bytes of data that are made on demand, and kept until they are durable. */
class FakeSource implements WalSource {
  sequence = 0;
  synced = 0;
  segmentsBegun = 0;
  unsyncedShare = 0;
  #gathered: number[] = [];
  #isTaken = false;

  add(): number {
    this.#gathered.push(++this.sequence);
    return this.sequence;
  }

  take(): WalBatch | undefined {
    expect(this.#isTaken, "a batch is taken after the one before was released").toBe(false);
    const taken = this.#gathered;
    if (taken.length === 0) return undefined;
    this.#gathered = [];
    this.#isTaken = true;
    const lastSequence = taken[taken.length - 1]!;
    const bytes = Buffer.concat(taken.map((sequence) => recordBytes({ sequence, syncedUpTo: this.synced })));
    return { bytes, lastSequence, declaredBytes: 0, maxTimeMs: lastSequence * 1_000 };
  }

  release(): void {
    this.#isTaken = false;
  }

  beginSegment(): void {
    this.segmentsBegun++;
  }

  restart(): void {
    expect(this.#isTaken).toBe(false);
    this.segmentsBegun++;
    this.#gathered = Array.from({ length: this.sequence - this.synced }, (_, i) => this.synced + 1 + i);
  }

  setSynced(sequence: number): void {
    this.synced = sequence;
  }
}

interface Bench {
  readonly disk: MemoryVfs;
  readonly source: FakeSource;
  readonly clock: ManualClock;
  readonly writer: WalWriter;
  readonly segments: SegmentList;
  /** Adds a record and waits for it as a request does. */
  readonly write: () => Promise<void>;
  /** What a new process finds: sequences, repeats included. */
  readonly replayed: () => Promise<number[]>;
}

async function bench(
  options: Partial<WalWriterOptions> = {},
  around: (disk: MemoryVfs) => Vfs = (disk) => disk,
): Promise<Bench> {
  const disk = new MemoryVfs();
  await disk.mkdir(LOG_DIR);
  await disk.syncDir("/");
  const vfs = around(disk);
  const source = new FakeSource();
  const clock = new ManualClock();
  const segments = new SegmentList(vfs, LOG_DIR);
  const writer = new WalWriter({
    vfs,
    dir: LOG_DIR,
    source,
    segments,
    clock,
    log: silentLogger,
    sync: "always",
    syncIntervalMs: 1_000,
    segmentBytesMax: 100_000,
    nextIndex: 1,
    sequence: 0,
    onChange() {},
    ...options,
  });
  onTestFinished(() => writer.close().catch(() => undefined));
  return {
    disk,
    source,
    clock,
    writer,
    segments,
    write: async () => writer.committed(source.add()),
    async replayed() {
      const visitor = new NotingVisitor();
      const { losses } = await readLog(disk.kill(), LOG_DIR, visitor);
      expect(losses).toEqual([]);
      return visitor.sequences;
    },
  };
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

/** Notes calls, and holds those that `hold` is for until it is let go. */
function watch(disk: MemoryVfs, calls: string[], hold?: (call: VfsCall) => Promise<void> | undefined): Vfs {
  return interceptVfs(disk, {
    async async(call, run) {
      calls.push(call.operation);
      await hold?.(call);
      return run();
    },
    sync: (_call, run) => run(),
  });
}

test("requests that come together take one write and one sync, and so do those that come meanwhile", async () => {
  const calls: string[] = [];
  const { write, replayed } = await bench({}, (disk) => watch(disk, calls));
  await write();
  calls.length = 0;
  await Promise.all(Array.from({ length: 20 }, write));
  expect(calls).toEqual(["write", "sync"]);
  expect(await replayed()).toEqual(upTo(21));
});

test("with `always` nobody is answered before the sync that covers him has returned", async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const answered: number[] = [];
  let holds = false;
  const { source, writer } = await bench({}, (disk) =>
    watch(disk, [], ({ operation }) => (holds && operation === "sync" ? held : undefined)),
  );
  await writer.committed(source.add());
  holds = true;
  const first = writer.committed(source.add())!.then(() => answered.push(1));
  await rest();
  // Handled while the batch before is being synced: another record, and one that repeats what is in flight.
  const second = writer.committed(source.add())!.then(() => answered.push(2));
  const repeat = writer.committed(2)!.then(() => answered.push(3));
  await rest();
  expect(answered).toEqual([]);
  expect(source.synced).toBe(1);
  release();
  await Promise.all([first, second, repeat]);
  expect(answered).toEqual([1, 3, 2]);
  expect(writer.committed(3), "all is durable: there is nothing to wait for").toBeUndefined();
});

test("with `interval` a request is answered after its write, and a sync follows within the interval", async () => {
  const calls: string[] = [];
  const { write, clock, source, writer } = await bench({ sync: "interval" }, (disk) => watch(disk, calls));
  await write();
  calls.length = 0;
  await write();
  await write();
  expect(calls).toEqual(["write", "write"]);
  expect(source.synced).toBe(0);
  clock.advance(1_000);
  await rest();
  expect(calls).toEqual(["write", "write", "sync"]);
  expect(source.synced).toBe(3);
  clock.advance(5_000);
  await rest();
  expect(calls, "nothing new, nothing to sync").toHaveLength(3);
  expect(writer.stats.syncsTotal).toBe(1);
});

test("with `interval` who needs to know waits until what was written is synced, and has it synced at once", async () => {
  const calls: string[] = [];
  const { write, source, writer } = await bench({ sync: "interval" }, (disk) => watch(disk, calls));
  await write();
  await writer.durable(source.sequence);
  expect(source.synced).toBe(source.sequence);
  const before = calls.length;
  await writer.durable(source.sequence);
  expect(calls, "all is durable: there is nothing to wait for").toHaveLength(before);
});

test("with `interval` much that is not durable is synced before its time", async () => {
  const { write, source } = await bench({ sync: "interval" });
  source.unsyncedShare = 0.5;
  await write();
  await rest();
  expect(source.synced).toBe(1);
});

test("a segment that is full is synced before its successor begins, and each begins its declarations afresh", async () => {
  for (const sync of ["always", "interval"] as const) {
    const calls: string[] = [];
    const { write, source, segments, disk, replayed } = await bench({ sync, segmentBytesMax: 200 }, (inner) =>
      interceptVfs(inner, {
        async async(call, run) {
          calls.push(`${call.operation} ${call.path.slice(-1)}`);
          return run();
        },
        sync: (_call, run) => run(),
      }),
    );
    for (let i = 0; i < 9; i++) await write();
    expect(await disk.list(LOG_DIR)).toEqual(["00000001", "00000002", "00000003"]);
    expect(source.segmentsBegun).toBe(2);
    expect(calls.indexOf("open 2")).toBeGreaterThan(calls.lastIndexOf("sync 1"));
    expect(segments.lastIndex).toBe(3);
    const sizes = await Promise.all((await disk.list(LOG_DIR)).map((name) => readFile(disk, `${LOG_DIR}/${name}`)));
    expect(segments.sizeBytes).toBe(sizes.reduce((sum, { byteLength }) => sum + byteLength, 0));
    expect(await replayed()).toEqual(upTo(9));
  }
});

const failing = (matches: (call: VfsCall) => boolean, lasting: "once" | "from then on", call = 1) => {
  const made: FaultyVfs[] = [];
  const around = (disk: MemoryVfs): Vfs => {
    made.push(faultyVfs(disk, { errno: "EIO", call, lasting, matches }));
    return made[0]!;
  };
  return { around, disk: () => made[0]! };
};

test("a sync that fails refuses those who wait; the segment is left alone and all is written again in another", async () => {
  const fault = failing(({ operation, path }) => operation === "sync" && path.endsWith("1"), "once", 3);
  const { write, writer, disk, source, replayed } = await bench({}, fault.around);
  await write();
  const refused = await write().catch((thrown: unknown) => thrown);
  expect(refused).toBeInstanceOf(TsdbError);
  expect(refused).toMatchObject({ code: "OVERLOADED" });
  const before = await readFile(disk, `${LOG_DIR}/00000001`);
  await write();
  expect(writer.isFaulty).toBe(false);
  expect(source.synced).toBe(3);
  expect(writer.stats.syncFailuresTotal).toBe(1);
  expect(await readFile(disk, `${LOG_DIR}/00000001`), "never touched again").toEqual(before);
  // Record 2 stands in both.
  expect(await replayed()).toEqual([1, 2, 2, 3]);
});

test("who came after the failed batch was taken is not refused with it", async () => {
  let fail = (): void => {};
  const failed = new Promise<void>((_, reject) => (fail = () => reject(new Error("EIO"))));
  let holds = false;
  const { source, writer } = await bench({}, (disk) =>
    watch(disk, [], ({ operation, path }) =>
      holds && operation === "sync" && path.endsWith("1") ? failed : undefined,
    ),
  );
  await writer.committed(source.add());
  holds = true;
  const first = writer.committed(source.add())!.catch((thrown: unknown) => thrown);
  await rest();
  const second = writer.committed(source.add());
  fail();
  expect(await first).toBeInstanceOf(TsdbError);
  await second;
  expect(source.synced).toBe(3);
});

test("a write that was cut short is repeated elsewhere, in either mode", async () => {
  for (const sync of ["always", "interval"] as const) {
    const { write, replayed, clock } = await bench({ sync }, (disk) =>
      faultyVfs(disk, {
        errno: "ENOSPC",
        call: 2,
        lasting: "once",
        short: true,
        matches: ({ operation, write: data }) => operation === "write" && (data?.data.byteLength ?? 0) > 24,
      }),
    );
    await write();
    await expect(write()).rejects.toMatchObject({ code: "OVERLOADED" });
    await write();
    clock.advance(1_000);
    await rest();
    const found = await replayed();
    expect([...new Set(found)]).toEqual([1, 2, 3]);
  }
});

test("a disk that takes nothing makes the writer faulty; it goes on by itself when the disk does, and loses nothing", async () => {
  for (const sync of ["always", "interval"] as const) {
    const fault = failing(({ operation }) => operation === "write" || operation === "open", "from then on", 4);
    const { write, writer, clock, replayed, disk, source } = await bench({ sync }, fault.around);
    await write();
    await expect(write()).rejects.toMatchObject({ code: "OVERLOADED" });
    await rest();
    expect(writer.isFaulty).toBe(true);
    clock.advance(10_000);
    await rest();
    expect(writer.isFaulty).toBe(true);
    fault.disk().heal();
    clock.advance(2_000);
    await rest();
    expect(writer.isFaulty).toBe(false);
    expect(source.synced, "what was in doubt is durable before anybody is let in again").toBe(2);
    await write();
    expect([...new Set(await replayed())]).toEqual([1, 2, 3]);
    // Attempts that failed leave no litter.
    expect((await disk.list(LOG_DIR)).length).toBeLessThanOrEqual(3);
  }
});

test("with `interval` a sync that fails in the background loses nothing that was answered", async () => {
  const fault = failing(({ operation, path }) => operation === "sync" && path.endsWith("1"), "once", 2);
  const { write, clock, source, disk, writer } = await bench({ sync: "interval" }, fault.around);
  await write();
  await write();
  clock.advance(1_000);
  await rest();
  expect(source.synced, "written again to another segment, and synced at once").toBe(2);
  expect(await disk.list(LOG_DIR)).toEqual(["00000001", "00000002"]);
  await write();
  expect(writer.isFaulty).toBe(false);
});

test("a file that failed to sync is not synced again, whoever asks: the next sync would only seem to succeed", async () => {
  const fault = failing(({ operation, path }) => operation === "sync" && path.endsWith("1"), "once", 2);
  const syncs: string[] = [];
  const made = await bench({ sync: "interval" }, (disk) =>
    interceptVfs(fault.around(disk), {
      async async({ operation, path }, run) {
        if (operation === "sync") syncs.push(path);
        try {
          return await run();
        } catch (thrown) {
          void askAgain();
          throw thrown;
        }
      },
      sync: (_call, run) => run(),
    }),
  );
  const { write, source, writer } = made;
  /** Right after the failure, before anything is done about it. */
  async function askAgain(): Promise<void> {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    writer.requestSync();
  }
  await write();
  await writer.durable(1);
  expect(source.synced).toBe(1);
  const ofFirst = syncs.filter((path) => path.endsWith("1"));
  expect(ofFirst, "once for its header, and the one that failed").toHaveLength(2);
});

test("closing writes and syncs what is left and marks the end; an unused log stays as it is", async () => {
  const { write, writer, source, disk } = await bench({ sync: "interval" });
  await write();
  const last = writer.committed(source.add());
  await writer.close();
  await last;
  const bytes = await readFile(disk, `${LOG_DIR}/00000001`);
  expect(bytes.at(-21)).toBe(RECORD_MARK);
  const found = await readLog(disk, LOG_DIR, new NotingVisitor());
  expect(found).toMatchObject({ records: 2, lastSequence: 2, repairs: [], losses: [] });
  expect(disk.openPaths).toEqual([]);

  const unused = await bench();
  await unused.writer.close();
  expect(await unused.disk.list(LOG_DIR)).toEqual([]);
});

test("a close that cannot bring the newest records to disk says so, and lets go of all files", async () => {
  const fault = failing(({ operation }) => operation === "sync", "from then on", 2);
  const { write, writer, disk } = await bench({ sync: "interval" }, fault.around);
  await write();
  await expect(writer.close()).rejects.toThrow("not on disk");
  expect(disk.openPaths).toEqual([]);
});

test("a sync that fails while closing is one like any other: what it was for goes to another segment", async () => {
  const fault = failing(({ operation, path }) => operation === "sync" && path.endsWith("1"), "once", 2);
  const { write, writer, source, disk, replayed } = await bench({ sync: "interval" }, fault.around);
  await write();
  await writer.close();
  expect(source.synced).toBe(1);
  expect(await disk.list(LOG_DIR)).toEqual(["00000001", "00000002"]);
  expect(await replayed()).toEqual([1, 1]);
  expect(disk.openPaths).toEqual([]);
});

test("retention takes segments from the oldest on, one after the other, and never the last", async () => {
  const { write, segments, disk } = await bench({ segmentBytesMax: 100 });
  for (let i = 0; i < 7; i++) await write();
  // Two records to a segment; the newest sample of record n is at n seconds.
  expect(await disk.list(LOG_DIR)).toHaveLength(4);
  expect(await segments.dropFlushed(Number.POSITIVE_INFINITY, 4_000)).toBe(1);
  expect(await segments.dropFlushed(Number.POSITIVE_INFINITY, 4_000)).toBe(0);
  expect(await disk.list(LOG_DIR)).toEqual(["00000002", "00000003", "00000004"]);
  expect(await segments.dropFlushed(Number.POSITIVE_INFINITY, 1e9)).toBe(2);
  expect(await disk.list(LOG_DIR)).toEqual(["00000004"]);
});

test("the first segment, neither made nor removed, is not taken for the beginning of a log whose beginning is in blocks", async () => {
  let vfs!: FaultyVfs;
  const { disk, clock, write, source, segments, replayed } = await bench({ segmentBytesMax: 100 }, (inner) => {
    const matches = ({ operation, path }: VfsCall): boolean => operation === "syncDir" || path.endsWith("00000001");
    return (vfs = faultyVfs(inner, { errno: "EIO", call: 2, lasting: "from then on", matches }));
  });
  await expect(write()).rejects.toThrow("EIO");
  vfs.heal();
  clock.advance(10_000);
  for (let i = 0; i < 10; i++) await write();
  expect((await disk.list(LOG_DIR))[0]).toBe("00000001");
  await segments.dropFlushed(source.sequence - 2, Number.POSITIVE_INFINITY);
  expect((await replayed())[0]).toBeGreaterThan(1);
});

test("a cut leaves the segment, with a batch at hand or without, and nothing written later is in it", async () => {
  const { write, writer, segments, disk, replayed } = await bench({});
  await write();
  writer.cut();
  await write();
  await write();
  // Nothing gathers now: the segment is left nevertheless.
  writer.cut();
  await vi.waitFor(() => expect(disk.openPaths).toEqual([]));
  await write();
  expect(await disk.list(LOG_DIR)).toEqual(["00000001", "00000002", "00000003"]);
  expect(await replayed()).toEqual([1, 2, 3, 4]);
  expect(await segments.dropFlushed(2, 1e9)).toBe(1);
  await writer.close();
  expect(disk.openPaths).toEqual([]);
});
