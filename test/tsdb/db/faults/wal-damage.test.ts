/** A damaged log: what is left is what an oracle computes from the offsets of the harm, and what is lost is reported. */
import { beforeAll, expect, test, vi } from "vitest";
import { crc32c } from "../../../../src/base/crc32c.ts";
import { WAL_VERSION } from "../../../../src/tsdb/wal/format.ts";
import { Random, seedFromEnv } from "../../../support/random.ts";
import { MemoryVfs } from "../../../support/vfs/memory.ts";
import { TIMEOUT_MS } from "./exhaustive.ts";
import { expectedAfter, type Harm, HEADER_BYTES, parseSound, RECORD_BYTES, type SoundSegment } from "./log-oracle.ts";
import {
  contentOf,
  countStored,
  DATA_DIR,
  fillsChunks,
  LATER,
  putFile,
  requests,
  treeOf,
  Trial,
  WAL_DIR,
} from "./trial.ts";

vi.setConfig({ testTimeout: TIMEOUT_MS });

/** Requests of which only the log has the samples: sequence `n` is written[n - 1]. */
const written = Array.from({ length: LATER }, (_, i) => i).filter((i) => !fillsChunks(i));
const options = { sync: "always", segmentBytesMax: 400 } as const;

let sound: MemoryVfs;
let log: readonly SoundSegment[];
beforeAll(async () => {
  const disk = new MemoryVfs();
  const trial = new Trial(options);
  const database = await trial.open(disk);
  for (const i of written) await trial.write(database, i);
  sound = disk.kill();
  await database.close();
  const names = await sound.list(WAL_DIR);
  log = await Promise.all(
    names.map(async (name) => parseSound(Number(name), await contentOf(sound, `${WAL_DIR}/${name}`))),
  );
});

const pathOf = (index: number): string => `${WAL_DIR}/${String(index).padStart(8, "0")}`;
const first = (): SoundSegment => log[0]!;
const middle = (): SoundSegment => log[Math.floor(log.length / 2)]!;
const last = (): SoundSegment => log.at(-1)!;
const places = [
  { name: "first", segment: first },
  { name: "middle", segment: middle },
  { name: "last", segment: last },
] as const;

const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= 0x41;
  return copy;
};

/** Starts on a disk and looks at what is there and what is reported, then goes on and starts again: all is well from then on. */
async function expectLeft(disk: MemoryVfs, harm: Harm, what: string): Promise<void> {
  const { surviving, lost } = expectedAfter(log, harm);
  const trial = new Trial(options);
  const database = await trial.open(disk);
  expect(database.state, what).toBe("writable");
  const reported = database.damage.map(({ file, offsetBytes, firstSequence, lastSequence }) => ({
    file: file.slice(file.lastIndexOf("/") + 1),
    offsetBytes,
    first: firstSequence,
    last: lastSequence,
  }));
  expect({ there: sequencesIn(database, disk), lost: reported }, what).toEqual({ there: surviving, lost });
  await trial.writeLast(database);
  await database.close();

  const again = await trial.open(disk);
  expect(again.damage, `${what}; reported once`).toEqual([]);
  await again.close();
  expect(disk.openPaths, what).toEqual([]);
}

/** Sequences of the requests that are there as a whole; no request may be there in part. */
function sequencesIn(database: Parameters<typeof countStored>[0], disk: MemoryVfs): number[] {
  const counts = countStored(database, disk, written);
  for (const [i, count] of counts) expect(count, `request ${i} is there in part`).toBe(requests[i]!.samples.length);
  return written.flatMap((i, n) => (counts.has(i) ? [n + 1] : []));
}

test("the log of these tests has several segments of several records, and nothing else holds its samples", async () => {
  expect(log.length).toBeGreaterThanOrEqual(4);
  for (const { records } of log) expect(records.length).toBeGreaterThanOrEqual(2);
  expect(log.flatMap(({ records }) => records.map(({ sequence }) => sequence))).toEqual(written.map((_, n) => n + 1));
  await expectLeft(sound.kill(), { index: -1, from: 0, to: 0 }, "nothing was harmed");
});

test("a log cut off at any byte of its last record loses that record without a word; any other cut is reported", async () => {
  for (const { name, segment } of places) {
    const { index, bytes, records } = segment();
    // In the last segment every byte, for it is the one that power cuts tear; in the others some.
    for (let cut = records.at(-1)!.start; cut < bytes.length; cut += segment === last ? 1 : 7) {
      const disk = sound.kill();
      await putFile(disk, pathOf(index), bytes.subarray(0, cut));
      await expectLeft(disk, { index, from: cut, to: bytes.length }, `the ${name} segment cut at ${cut}`);
    }
  }
});

test("a flipped byte anywhere harms its record and what follows in its segment, and nothing else", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  for (const { name, segment } of places) {
    const { index, bytes } = segment();
    for (let at = random.below(3); at < bytes.length; at += 1 + random.below(5)) {
      const disk = sound.kill();
      await putFile(disk, pathOf(index), flipped(bytes, at));
      await expectLeft(disk, { index, from: at, to: at + 1 }, `byte ${at} of the ${name} segment, SEED=${seed}`);
    }
  }
});

test("segments that are empty, zeroed, gone or rubbish cost what was in them", async () => {
  for (const { name, segment } of places) {
    const { index, bytes, records } = segment();
    const second = records[1]!.start;
    const harms: readonly { readonly what: string; readonly content: Uint8Array | undefined; readonly from: number }[] =
      [
        { what: "empty", content: new Uint8Array(0), from: 0 },
        { what: "gone", content: undefined, from: 0 },
        { what: "4 KiB of zeros", content: new Uint8Array(4096), from: 0 },
        { what: "only a header", content: bytes.subarray(0, HEADER_BYTES), from: HEADER_BYTES },
        { what: "only half a header", content: bytes.subarray(0, HEADER_BYTES / 2), from: HEADER_BYTES / 2 },
        { what: "noise", content: new Random(1).bytes(bytes.length), from: 0 },
        {
          what: "zeroed from its second record on",
          content: Uint8Array.from(bytes).fill(0, second),
          from: second,
        },
        {
          what: "zeroed from its second record on, 4 KiB far",
          content: Uint8Array.from([...bytes.subarray(0, second), ...new Uint8Array(4096)]),
          from: second,
        },
      ];
    for (const { what, content, from } of harms) {
      const disk = sound.kill();
      if (content) await putFile(disk, pathOf(index), content);
      else await disk.remove(pathOf(index));
      const length = content?.length ?? 0;
      const harm = {
        index,
        from,
        to: bytes.length,
        ...(length <= HEADER_BYTES && { endBytes: length }),
        isGone: content === undefined,
      };
      await expectLeft(disk, harm, `the ${name} segment ${what}`);
    }
  }
});

test("zeros behind the end, as a file system leaves them, are no damage", async () => {
  const disk = sound.kill();
  const { index, bytes } = last();
  await putFile(disk, pathOf(index), Uint8Array.from([...bytes, ...new Uint8Array(4096)]));
  await expectLeft(disk, { index: -1, from: 0, to: 0 }, "zeros behind the end");
});

test("a segment that stands there twice changes nothing", async () => {
  const next = last().index + 1;
  for (const { name, segment } of places) {
    const { bytes } = segment();
    for (const [what, content] of [
      ["as it is", bytes],
      ["under its new number", withIndex(bytes, next)],
    ] as const) {
      const disk = sound.kill();
      await putFile(disk, pathOf(next), content);
      await expectLeft(disk, { index: -1, from: 0, to: 0 }, `a copy of the ${name} segment, ${what}`);
    }
  }
});

test("files that are none of ours are left alone", async () => {
  const strange = [`${WAL_DIR}/README`, `${WAL_DIR}/00000001.bak`, `${WAL_DIR}/7`, `${DATA_DIR}/notes.txt`];
  const disk = sound.kill();
  for (const path of strange) await putFile(disk, path, Buffer.from("mine"));
  await expectLeft(disk, { index: -1, from: 0, to: 0 }, "foreign files");
  for (const path of strange) expect(Buffer.from(await contentOf(disk, path)).toString(), path).toBe("mine");
});

/** The sound log with a record of an unknown type at the end of a segment. */
async function withUnknown(segment: SoundSegment, type: number): Promise<MemoryVfs> {
  const disk = sound.kill();
  const { sequence, syncedUpTo } = segment.records.at(-1)!;
  const record = Buffer.alloc(RECORD_BYTES + 10, 0x5a);
  record.writeUInt32LE(10, 0);
  record.writeUInt8(type, 4);
  record.writeBigUInt64LE(BigInt(sequence + 1), 5);
  record.writeBigUInt64LE(BigInt(syncedUpTo), 13);
  record.writeUInt32LE(crc32c(record.subarray(RECORD_BYTES), crc32c(record.subarray(0, 21))), 21);
  await putFile(disk, pathOf(segment.index), Buffer.concat([segment.bytes, record]));
  return disk;
}

test("a record of a kind to come that may be skipped is skipped", async () => {
  for (const { name, segment } of places) {
    const disk = await withUnknown(segment(), 0x85);
    await expectLeft(disk, { index: -1, from: 0, to: 0 }, `an unknown record in the ${name} segment`);
  }
});

test("what a newer version wrote, and this one cannot read, is refused and not touched", async () => {
  for (const { name, segment } of places) {
    const newer = sound.kill();
    const header = Buffer.from(segment().bytes);
    header.writeUInt32LE(WAL_VERSION + 1, 8);
    await putFile(newer, pathOf(segment().index), withIndex(header, segment().index));
    for (const [what, disk] of [
      ["a record that must not be skipped", await withUnknown(segment(), 0x05)],
      ["a higher version", newer],
    ] as const) {
      const before = await treeOf(disk);
      const database = new Trial(options).database(disk);
      await expect(database.start(), `${what} in the ${name} segment`).rejects.toMatchObject({
        code: "FORMAT_TOO_NEW",
      });
      await database.close();
      expect(await treeOf(disk)).toEqual(before);
      expect(disk.openPaths).toEqual([]);
    }
  }
});

/** A segment whose header has another index and is right in itself. */
function withIndex(segment: Uint8Array, index: number): Uint8Array {
  const bytes = Buffer.from(segment);
  bytes.writeBigUInt64LE(BigInt(index), 16);
  bytes.writeUInt32LE(crc32c(bytes.subarray(16, 24), crc32c(bytes.subarray(0, 12))), 12);
  return bytes;
}
