/** The log is read after crashes and from disks that rot: whatever stands in it, the start ends, and says what is wrong. */
import { beforeAll, expect, test } from "vitest";
import { crc32c } from "../../src/base/crc32c.ts";
import type { TsdbError } from "../../src/base/errors.ts";
import { fuzz } from "../support/fuzz.ts";
import { readDatabase } from "../support/read-database.ts";
import { MemoryVfs } from "../support/vfs/memory.ts";
import { parseSound, RECORD_BYTES, HEADER_BYTES } from "../tsdb/db/faults/log-oracle.ts";
import { contentOf, putFile, Trial, WAL_DIR } from "../tsdb/db/faults/trial.ts";

const options = { sync: "always", segmentBytesMax: 600 } as const;

let sound: MemoryVfs;
let segments: Uint8Array[];
beforeAll(async () => {
  const disk = new MemoryVfs();
  const trial = new Trial(options);
  const database = await trial.open(disk);
  for (const i of [0, 1, 3, 4, 6, 7, 9]) await trial.write(database, i);
  sound = disk.kill();
  await database.close();
  segments = await Promise.all((await sound.list(WAL_DIR)).map((name) => contentOf(sound, `${WAL_DIR}/${name}`)));
});

/** Starts on a log one of whose segments is `segment`, and reads all there is. */
async function startOn(name: string, segment: Uint8Array): Promise<void> {
  const disk = sound.kill();
  await putFile(disk, `${WAL_DIR}/${name}`, segment);
  const database = new Trial(options).database(disk);
  try {
    await database.start();
    readDatabase(database, disk);
  } catch (thrown) {
    // What a newer version wrote is refused; nothing else is.
    expect((thrown as TsdbError).code).toBe("FORMAT_TOO_NEW");
  } finally {
    await database.close();
  }
  expect(disk.openPaths).toEqual([]);
}

test("whatever stands in a segment, the database starts", async () => {
  const names = await sound.list(WAL_DIR);
  const runs = await fuzz({
    name: "test/fuzz/wal",
    corpus: segments,
    run: (segment) => startOn(names[1]!, segment),
  });
  expect(runs).toBeGreaterThan(0);
});

/** Data of records, one behind the other with 4 bytes of length each, as a segment whose every checksum is right. */
function withRightChecksums(input: Uint8Array): Uint8Array {
  const parts = [Buffer.from(segments[0]!.subarray(0, HEADER_BYTES))];
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  for (let at = 0, sequence = 1; at + 4 <= input.length; sequence++) {
    const data = input.subarray(at + 4, at + 4 + Math.min(view.getUint32(at, true), 4096));
    const header = Buffer.alloc(RECORD_BYTES);
    header.writeUInt32LE(data.length, 0);
    header.writeUInt8(1, 4);
    header.writeBigUInt64LE(BigInt(sequence), 5);
    header.writeUInt32LE(crc32c(data, crc32c(header.subarray(0, 21))), 21);
    parts.push(header, Buffer.from(data));
    at += 4 + data.length;
  }
  return Buffer.concat(parts);
}

test("records that are nonsense under a right checksum are refused by the kernel, and harm nothing", async () => {
  const [name] = await sound.list(WAL_DIR);
  const corpus = segments.map((bytes, index) =>
    Buffer.concat(
      parseSound(index, bytes).records.map(({ start, end }) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(end - start - RECORD_BYTES);
        return Buffer.concat([length, bytes.subarray(start + RECORD_BYTES, end)]);
      }),
    ),
  );
  const runs = await fuzz({
    name: "test/fuzz/wal",
    corpus,
    run: (input) => startOn(name!, withRightChecksums(input)),
  });
  expect(runs).toBeGreaterThan(0);
});
