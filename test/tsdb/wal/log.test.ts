import { expect, test } from "vitest";
import { TsdbError } from "../../../src/base/errors.ts";
import { encodeMark, encodeSegmentHeader, WAL_VERSION } from "../../../src/tsdb/wal/format.ts";
import { type LogSummary, listSegments, readLog } from "../../../src/tsdb/wal/log.ts";
import { QUARANTINE_DIR, repairSegment } from "../../../src/tsdb/wal/repair.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import {
  LOG_DIR,
  type MadeRecord,
  NotingVisitor,
  putFile,
  putSegment,
  recordBytes,
  segmentBytes,
} from "../../support/wal-files.ts";

/** Segments by index, as bytes. */
type Log = Readonly<Record<number, Uint8Array>>;

async function diskWith(log: Log): Promise<MemoryVfs> {
  const disk = new MemoryVfs();
  await disk.mkdir(LOG_DIR);
  for (const [index, bytes] of Object.entries(log)) await putSegment(disk, Number(index), bytes);
  return disk;
}

interface Reading extends LogSummary {
  readonly sequences: readonly number[];
  readonly durable: number;
}

async function read(disk: MemoryVfs): Promise<Reading> {
  const visitor = new NotingVisitor();
  const summary = await readLog(disk, LOG_DIR, visitor);
  expect(visitor.bytes, "progress ends at the total").toBe(visitor.total.bytes);
  expect(disk.openPaths).toEqual([]);
  return { ...summary, sequences: visitor.sequences, durable: visitor.durable };
}

/** Reads, repairs, reads again: the second reading must find the same records, and nothing to repair or report. */
async function readTwice(disk: MemoryVfs, what: string): Promise<Reading> {
  const first = await read(disk);
  for (const repair of first.repairs) await repairSegment(disk, LOG_DIR, repair);
  const again = await read(disk);
  expect(again.losses, what).toEqual([]);
  expect(again.repairs, what).toEqual([]);
  expect(again.sequences, what).toEqual(first.sequences);
  expect(again.lastSequence, what).toBe(first.lastSequence);
  expect(again.durable, what).toBe(again.lastSequence);
  return first;
}

const range = (first: number, last: number, syncedUpTo = first - 1): MadeRecord[] =>
  Array.from({ length: last - first + 1 }, (_, i) => ({ sequence: first + i, syncedUpTo }));

const torn = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length - 3);
const flippedAt = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, bytes[at]! ^ 4);
const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

interface Case {
  readonly what: string;
  readonly log: Log;
  /** Sequences of what is applied, repeats included. */
  readonly sequences: readonly number[];
  /** [index, first, last] of what is reported as lost. */
  readonly lost?: readonly (readonly [index: number, first: number, last: number])[];
  readonly lastSequence?: number;
  /** Names that are left, and names in quarantine. */
  readonly left?: readonly number[];
  readonly quarantined?: readonly string[];
}

const cases: readonly Case[] = [
  { what: "no log", log: {}, sequences: [], lastSequence: 0 },
  {
    what: "two segments that were closed in order",
    log: {
      1: join(segmentBytes(1, range(1, 3)), encodeMark(3, undefined)),
      2: join(segmentBytes(2, range(4, 5)), encodeMark(5, undefined)),
    },
    sequences: [1, 2, 3, 4, 5],
  },
  { what: "a log that was not closed", log: { 1: segmentBytes(1, range(1, 3)) }, sequences: [1, 2, 3] },
  { what: "a torn tail", log: { 1: torn(segmentBytes(1, range(1, 3))) }, sequences: [1, 2] },
  {
    what: "a tail of zeros",
    log: { 1: join(segmentBytes(1, range(1, 3)), new Uint8Array(4096)) },
    sequences: [1, 2, 3],
  },
  {
    what: "an unsynced batch with a hole: whole records behind it that call nothing synced",
    log: {
      1: join(
        segmentBytes(1, range(1, 2)),
        flippedAt(recordBytes({ sequence: 3, syncedUpTo: 2 }), 30),
        recordBytes({ sequence: 4, syncedUpTo: 2 }),
      ),
    },
    sequences: [1, 2],
    lastSequence: 2,
  },
  {
    what: "a flipped byte in what a later record calls synced",
    log: {
      1: join(
        segmentBytes(1, range(1, 2)),
        flippedAt(recordBytes({ sequence: 3, syncedUpTo: 2 }), 30),
        recordBytes({ sequence: 4, syncedUpTo: 3 }),
      ),
    },
    sequences: [1, 2],
    lost: [[1, 3, 4]],
    lastSequence: 4,
    quarantined: ["00000001"],
  },
  {
    what: "a failed segment with a torn tail, and all that was not durable once more",
    log: { 1: torn(segmentBytes(1, range(1, 5, 2))), 2: segmentBytes(2, [...range(3, 5, 2), ...range(6, 7, 5)]) },
    sequences: [1, 2, 3, 4, 3, 4, 5, 6, 7],
  },
  {
    what: "a failed segment whose successor is torn at once",
    log: { 1: segmentBytes(1, range(1, 5, 2)), 2: torn(segmentBytes(2, range(3, 3, 2))) },
    sequences: [1, 2, 3, 4, 5],
    left: [1],
  },
  {
    what: "a segment that ends early before one that goes on behind it",
    log: { 1: torn(segmentBytes(1, range(1, 5))), 2: segmentBytes(2, range(6, 7, 3)) },
    sequences: [1, 2, 3, 4, 6, 7],
    lost: [[1, 5, 5]],
    quarantined: ["00000001"],
  },
  {
    what: "a missing segment",
    log: { 1: segmentBytes(1, range(1, 3)), 3: segmentBytes(3, range(6, 7)) },
    sequences: [1, 2, 3, 6, 7],
    lost: [[2, 4, 5]],
  },
  {
    what: "records cut off at the end of one",
    log: { 1: segmentBytes(1, range(1, 2)), 2: segmentBytes(2, range(4, 5)) },
    sequences: [1, 2, 4, 5],
    lost: [[1, 3, 3]],
  },
  {
    what: "a segment of length zero in the middle, and one at the end",
    log: {
      1: segmentBytes(1, range(1, 2)),
      2: new Uint8Array(0),
      3: segmentBytes(3, range(4, 4)),
      4: new Uint8Array(0),
    },
    sequences: [1, 2, 4],
    lost: [[2, 3, 3]],
    left: [1, 3],
  },
  {
    what: "a header alone, whole or half, at the end",
    log: { 1: segmentBytes(1, range(1, 2)), 2: encodeSegmentHeader(2).subarray(0, 11), 3: encodeSegmentHeader(3) },
    sequences: [1, 2],
    left: [1],
  },
  {
    what: "a damaged header before whole records",
    log: { 1: flippedAt(segmentBytes(1, range(1, 3)), 9), 2: segmentBytes(2, range(4, 5)) },
    sequences: [1, 2, 3, 4, 5],
  },
  {
    what: "something else under a segment's name",
    log: { 1: segmentBytes(1, range(1, 2)), 2: Uint8Array.from(Buffer.from("not a segment at all, but quite long")) },
    sequences: [1, 2],
    left: [1],
    quarantined: ["00000002"],
  },
  {
    what: "a copy of an older segment under a newer name",
    log: { 1: segmentBytes(1, range(1, 2)), 2: segmentBytes(2, range(3, 4)), 3: segmentBytes(1, range(1, 2)) },
    sequences: [1, 2, 3, 4],
    left: [1, 2],
    quarantined: ["00000003"],
  },
  {
    what: "a log whose older segments the retention has taken",
    log: { 4: segmentBytes(4, range(31, 33)), 5: segmentBytes(5, range(34, 34)) },
    sequences: [31, 32, 33, 34],
  },
  {
    what: "a first segment whose beginning cannot be read",
    log: { 1: flippedAt(segmentBytes(1, range(1, 3)), 40), 2: segmentBytes(2, range(4, 5)) },
    sequences: [4, 5],
    lost: [[1, 1, 3]],
    quarantined: ["00000001"],
  },
  {
    what: "an oldest segment, behind the retention, whose beginning cannot be read",
    log: { 4: flippedAt(segmentBytes(4, range(31, 33)), 40), 5: segmentBytes(5, range(34, 34)) },
    sequences: [34],
    lost: [[4, 32, 33]],
    quarantined: ["00000004"],
  },
];

test("what a log holds and what it lost is told from sequences, and after the repairs it reads well", async () => {
  for (const { what, log, sequences, lost = [], lastSequence, left, quarantined = [] } of cases) {
    const disk = await diskWith(log);
    const found = await readTwice(disk, what);
    expect(found.sequences, what).toEqual(sequences);
    expect(
      found.losses.map(({ index, firstSequence, lastSequence: last }) => [index, firstSequence, last]),
      what,
    ).toEqual(lost);
    expect(found.lastSequence, what).toBe(lastSequence ?? Math.max(...sequences));
    expect(await listSegments(disk, LOG_DIR), what).toEqual(left ?? Object.keys(log).map(Number));
    const kept = `${LOG_DIR}/${QUARANTINE_DIR}`;
    expect((await disk.exists(kept)) ? await disk.list(kept) : [], what).toEqual(quarantined);
    expect(found.nextIndex, what).toBe(Math.max(0, ...Object.keys(log).map(Number)) + 1);
  }
});

test("a record that makes no sense is lost with all behind it in its segment, whoever calls it synced", async () => {
  const disk = await diskWith({ 1: segmentBytes(1, range(1, 4, 0)) });
  const visitor = new NotingVisitor();
  visitor.answer = ({ sequence }) => (sequence === 3 ? "senseless" : "applied");
  const { losses, lastSequence } = await readLog(disk, LOG_DIR, visitor);
  expect(visitor.sequences).toEqual([1, 2]);
  expect(losses).toMatchObject([{ index: 1, firstSequence: 3, lastSequence: 4 }]);
  expect(lastSequence).toBe(4);
});

test("a record that finds no room is applied once there is some", async () => {
  const disk = await diskWith({ 1: segmentBytes(1, range(1, 3)) });
  const visitor = new NotingVisitor();
  visitor.answer = ({ sequence }) => (sequence === 2 ? "no-room" : "applied");
  await readLog(disk, LOG_DIR, visitor);
  expect(visitor.sequences).toEqual([1, 2, 3]);
});

test("a log of a newer version is refused: by its header, or by a record of a kind that may not be skipped", async () => {
  const header = encodeSegmentHeader(1);
  const newer = Uint8Array.from(header);
  const { crc32c } = await import("../../../src/base/crc32c.ts");
  new DataView(newer.buffer).setUint32(8, WAL_VERSION + 1, true);
  new DataView(newer.buffer).setUint32(12, crc32c(newer.subarray(16), crc32c(newer.subarray(0, 12))), true);
  const unknown = (type: number): Uint8Array =>
    segmentBytes(1, [{ sequence: 1 }, { sequence: 2, type }, { sequence: 3 }]);
  for (const bytes of [newer, unknown(3)]) {
    const disk = await diskWith({ 1: bytes });
    const refused = await read(disk).catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(TsdbError);
    expect(refused).toMatchObject({ code: "FORMAT_TOO_NEW" });
    expect(disk.openPaths).toEqual([]);
  }
  expect((await read(await diskWith({ 1: unknown(0x83) }))).sequences).toEqual([1, 3]);
});

test("other files beside the segments are neither read nor touched", async () => {
  const disk = await diskWith({ 1: segmentBytes(1, range(1, 2)) });
  for (const name of ["README", "1", "00000001.bak"]) await putFile(disk, `${LOG_DIR}/${name}`, Uint8Array.of(1, 2));
  await readTwice(disk, "strange files");
  expect(await disk.list(LOG_DIR)).toEqual(["00000001", "00000001.bak", "1", "README"]);
});

test("whatever happens to one segment, what is behind it is read, and a second reading finds nothing to do", async () => {
  const firstSeed = seedFromEnv();
  for (let run = 0; run < 150; run++) {
    const seed = (firstSeed + run) >>> 0;
    const random = new Random(seed);
    const log: Record<number, Uint8Array> = {};
    let sequence = 1;
    const counts: number[] = [];
    const segments = random.between(1, 4);
    for (let index = 1; index <= segments; index++) {
      const count = random.between(1, 5);
      log[index] = segmentBytes(
        index,
        range(sequence, sequence + count - 1, Math.max(0, sequence - random.between(0, 3))),
      );
      counts.push(count);
      sequence += count;
    }
    const harmed = random.between(1, segments);
    const bytes = log[harmed]!;
    const at = random.below(bytes.length);
    log[harmed] = random.chance(0.5) ? bytes.subarray(0, at) : flippedAt(bytes, at);
    const disk = await diskWith(log);
    const found = await readTwice(disk, `SEED=${seed}`);
    const before = counts.slice(0, harmed - 1).reduce((sum, count) => sum + count, 0);
    const behind = before + counts[harmed - 1]!;
    const whole = found.sequences.filter((n) => n <= before || n > behind);
    expect(whole.length, `SEED=${seed}`).toBe(before + (sequence - 1 - behind));
    // Within the harmed segment a prefix is left, and what is missing before a later record is reported.
    const prefix = found.sequences.filter((n) => n > before && n <= behind);
    expect(prefix, `SEED=${seed}`).toEqual(prefix.map((_, i) => before + 1 + i));
    const lost = found.losses.flatMap(({ firstSequence, lastSequence }) =>
      Array.from({ length: lastSequence - firstSequence + 1 }, (_, i) => firstSequence + i),
    );
    if (harmed === segments) continue;
    const all = [...found.sequences, ...lost].sort((x, y) => x - y);
    expect(all, `SEED=${seed}`).toEqual(Array.from({ length: sequence - 1 }, (_, i) => i + 1));
  }
});
