import { expect, onTestFinished, test } from "vitest";
import { crc32c } from "../../../src/base/crc32c.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import type { Vfs } from "../../../src/base/vfs.ts";
import {
  CHUNK_ENTRY_HEADER_BYTES,
  CHUNK_FILE_HEADER_BYTES,
  type ChunkEntry,
  decodeChunkFileHeader,
  encodeChunkFileHeader,
} from "../../../src/tsdb/head/chunk-file-format.ts";
import { loadChunkFiles, type LoadedChunkFiles } from "../../../src/tsdb/head/chunk-file-loader.ts";
import { ChunkFileReader } from "../../../src/tsdb/head/chunk-file-reader.ts";
import { type ChunkBlock, type ChunkBlockSource, ChunkFileWriter } from "../../../src/tsdb/head/chunk-files.ts";
import { plainBuffer } from "../../../src/tsdb/wal/reader.ts";
import { ManualClock } from "../../support/clock.ts";
import { CHUNK_DIR, rest } from "../../support/database.ts";
import { faultyVfs } from "../../support/vfs/faulty.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import { putFile, readFile } from "../../support/wal-files.ts";

/** Chunk `n`: of series n % 3, ten samples' worth of time, and `bytes` of data made from its number. */
function entry(n: number, bytes = 50): Uint8Array {
  const made = new Uint8Array(CHUNK_ENTRY_HEADER_BYTES + bytes);
  const view = new DataView(made.buffer);
  view.setUint32(4, (bytes << 8) | 1, true);
  view.setUint32(8, n % 3, true);
  view.setBigInt64(12, BigInt(n * 1_000), true);
  view.setUint32(20, 900, true);
  made.fill(n & 0xff, CHUNK_ENTRY_HEADER_BYTES);
  view.setUint32(0, crc32c(made.subarray(4)), true);
  return made;
}

/** Blocks of three chunks each, `blocksPerFile` to a file, each durable from its own number on. */
class FakeBlocks implements ChunkBlockSource {
  readonly #blocks: (ChunkBlock & { readonly sequence: number })[] = [];
  readonly #blocksPerFile: number;
  #made = 0;
  #taken = 0;
  released = 0;

  constructor(blocksPerFile = 100) {
    this.#blocksPerFile = blocksPerFile;
  }

  add(): void {
    const n = this.#made++;
    const bytes = Buffer.concat([entry(3 * n), entry(3 * n + 1), entry(3 * n + 2)]);
    const inFile = n % this.#blocksPerFile;
    this.#blocks.push({
      bytes,
      fileIndex: Math.floor(n / this.#blocksPerFile) + 1,
      startOffset: CHUNK_FILE_HEADER_BYTES + inFile * bytes.byteLength,
      maxTimeMs: (3 * n + 2) * 1_000 + 900,
      sequence: n + 1,
    });
  }

  takeBlock(durableSequence: number): ChunkBlock | undefined {
    const block = this.#blocks[this.#taken];
    if (block === undefined || block.sequence > durableSequence) return undefined;
    this.#taken++;
    return block;
  }

  releaseBlock(): void {
    this.#blocks.shift();
    this.#taken--;
    this.released++;
  }

  returnBlock(): void {
    this.#taken = 0;
  }
}

interface Bench {
  readonly disk: MemoryVfs;
  readonly source: FakeBlocks;
  readonly clock: ManualClock;
  readonly writer: ChunkFileWriter;
  durable: number;
}

async function bench(blocksPerFile?: number, around: (disk: MemoryVfs) => Vfs = (disk) => disk): Promise<Bench> {
  const disk = new MemoryVfs();
  await disk.mkdir(CHUNK_DIR);
  await disk.syncDir("/");
  await disk.syncDir("/data");
  const source = new FakeBlocks(blocksPerFile);
  const clock = new ManualClock();
  const made: Bench = {
    disk,
    source,
    clock,
    durable: Number.MAX_SAFE_INTEGER,
    writer: new ChunkFileWriter({
      vfs: around(disk),
      dir: CHUNK_DIR,
      source,
      files: [],
      clock,
      log: silentLogger,
      durableSequence: () => made.durable,
      onChange() {},
    }),
  };
  onTestFinished(() => made.writer.close().catch(() => undefined));
  return made;
}

/** What a new process finds: the numbers of the chunks. */
async function load(disk: MemoryVfs): Promise<LoadedChunkFiles & { readonly found: number[] }> {
  const found: number[] = [];
  const newest = new Map<number, number>();
  const loaded = await loadChunkFiles({
    vfs: disk,
    dir: CHUNK_DIR,
    sink: {
      buffer: plainBuffer(1024 * 1024),
      loadChunk({ ref, mint, span }: ChunkEntry) {
        if (mint <= (newest.get(ref) ?? -1)) return false;
        newest.set(ref, mint + span);
        found.push(mint / 1_000);
        return true;
      },
    },
    log: silentLogger,
    check() {},
  });
  expect(disk.openPaths).toEqual([]);
  return { ...loaded, found };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const path = (index: number): string => `${CHUNK_DIR}/${String(index).padStart(8, "0")}`;

test("a file header says its index and whether its chunks were dropped; any flipped bit in it is noticed", () => {
  for (const kind of ["chunks", "dropped"] as const) {
    const header = encodeChunkFileHeader(9, kind);
    expect(decodeChunkFileHeader(header)).toEqual({ kind, index: 9 });
    for (let bit = 0; bit < header.byteLength * 8; bit++) {
      const harmed = header.with(bit >> 3, header[bit >> 3]! ^ (1 << (bit & 7)));
      expect(decodeChunkFileHeader(harmed).kind, `bit ${bit}`).toBe("damaged");
    }
  }
});

test("a block is written only once the log is durable up to it, and is given back when it is written", async () => {
  const made = await bench();
  for (let i = 0; i < 4; i++) made.source.add();
  for (const durable of [0, 1, 1, 3, 4]) {
    made.durable = durable;
    made.writer.notify();
    await rest();
    expect(made.source.released).toBe(durable);
    expect((await load(made.disk.kill())).found).toEqual(upTo(durable * 3));
  }
});

test("what was written comes back, file by file, and can be read chunk by chunk", async () => {
  const { source, writer, disk } = await bench(2);
  for (let i = 0; i < 5; i++) source.add();
  await writer.close();
  expect(disk.openPaths).toEqual([]);
  expect(await disk.list(CHUNK_DIR)).toEqual(["00000001", "00000002", "00000003"]);
  const { found, files, nextIndex, nextOffset } = await load(disk);
  expect(found).toEqual(upTo(15));
  expect(files.map(({ index, maxTimeMs }) => [index, maxTimeMs])).toEqual([
    [1, 5_900],
    [2, 11_900],
    [3, 14_900],
  ]);
  expect([nextIndex, nextOffset]).toEqual([3, (await readFile(disk, path(3))).byteLength]);

  const reader = new ChunkFileReader({ vfs: disk, dir: CHUNK_DIR });
  const second = CHUNK_FILE_HEADER_BYTES + CHUNK_ENTRY_HEADER_BYTES + 50;
  expect([...reader.read(2, second, 50, 7 % 3)]).toEqual(Array.from({ length: 50 }, () => 7));
  expect(() => reader.read(2, second, 50, 2)).toThrow(/another series/);
  expect(() => reader.read(2, second, 49, 1)).toThrow(/checksum/);
  expect(() => reader.read(9, second, 50, 1)).toThrow(/Cannot read a chunk/);
  reader.close();
  expect(disk.openPaths).toEqual([]);
});

test("a file that failed is replaced by a copy of what it should hold, and nothing moves", async () => {
  for (const operation of ["write", "sync", "open"] as const) {
    for (let call = 1; call < 6; call++) {
      const { source, writer, disk } = await bench(2, (inner) =>
        faultyVfs(inner, { errno: "EIO", call, lasting: "once", matches: (made) => made.operation === operation }),
      );
      for (let i = 0; i < 5; i++) {
        source.add();
        await writer.flush(false);
      }
      expect(writer.isFaulty).toBe(false);
      await writer.close().catch(() => undefined);
      // Only a failure of the very last sync may leave the end to the log.
      const { found } = await load(disk.kill());
      expect(found, `${operation} ${call}`).toEqual(upTo(15));
    }
  }
});

test("while the disk takes no chunks they wait, and go on by themselves when it does", async () => {
  const made: ReturnType<typeof faultyVfs>[] = [];
  const { source, writer, clock, disk } = await bench(2, (inner) => {
    made.push(
      faultyVfs(inner, {
        errno: "ENOSPC",
        call: 4,
        lasting: "from then on",
        matches: ({ operation }) => operation === "write",
      }),
    );
    return made[0]!;
  });
  for (let i = 0; i < 5; i++) source.add();
  writer.notify();
  await rest(30);
  expect(writer.isFaulty).toBe(true);
  const released = source.released;
  expect(released).toBeLessThan(5);
  clock.advance(10_000);
  await rest(30);
  expect(writer.isFaulty).toBe(true);
  made[0]!.heal();
  clock.advance(2_000);
  await rest(50);
  expect(writer.isFaulty).toBe(false);
  expect(source.released).toBe(5);
  await writer.close();
  expect((await load(disk)).found).toEqual(upTo(15));
});

test("retention leaves a header in place of the file it dropped last, so that a missing file is told from a dropped one", async () => {
  const { source, writer, disk } = await bench(1);
  for (let i = 0; i < 5; i++) source.add();
  await writer.flush(true);
  expect(await writer.dropBefore(2_900)).toBe(0);
  expect(await writer.dropBefore(6_000)).toBe(2);
  await writer.close();
  expect(await disk.list(CHUNK_DIR)).toEqual(["00000002", "00000003", "00000004", "00000005"]);
  expect(decodeChunkFileHeader(await readFile(disk, path(2))).kind).toBe("dropped");
  expect((await load(disk.kill())).found).toEqual(upTo(15).slice(6));

  // Without it the files behind it could hide from replay what is gone.
  await disk.remove(path(2));
  const { found, nextIndex } = await load(disk);
  expect(found).toEqual([]);
  expect(nextIndex).toBe(1);
  expect(await disk.list(`${CHUNK_DIR}/quarantine`)).toEqual(["00000003", "00000004", "00000005"]);
});

test("the file that is written to is never dropped", async () => {
  const { source, writer, disk } = await bench(1);
  source.add();
  await writer.flush(true);
  expect(await writer.dropBefore(1e12)).toBe(0);
  expect(await disk.list(CHUNK_DIR)).toEqual(["00000001"]);
});

test("loading ends at the first damage: the file is cut there, later ones are set aside, and so is a copy of it", async () => {
  const { source, writer, disk } = await bench(2);
  for (let i = 0; i < 6; i++) source.add();
  await writer.close();
  const bytes = await readFile(disk, path(2));
  bytes[bytes.length - 10]! ^= 1;
  await putFile(disk, path(2), bytes);
  const { found } = await load(disk);
  expect(found).toEqual(upTo(11));
  expect(await disk.list(CHUNK_DIR)).toEqual(["00000001", "00000002", "quarantine"]);
  expect(await disk.list(`${CHUNK_DIR}/quarantine`)).toEqual(["00000002", "00000003"]);
  expect((await load(disk)).found).toEqual(upTo(11));
});

test("a torn tail of the last file is cut off without a copy", async () => {
  const { source, writer, disk } = await bench(2);
  for (let i = 0; i < 3; i++) source.add();
  await writer.close();
  const bytes = await readFile(disk, path(2));
  for (const length of [
    bytes.length - 1,
    bytes.length - 60,
    CHUNK_FILE_HEADER_BYTES + 5,
    CHUNK_FILE_HEADER_BYTES,
    7,
    0,
  ]) {
    const copy = disk.kill();
    await putFile(copy, path(2), bytes.subarray(0, length));
    const whole = Math.max(0, Math.floor((length - CHUNK_FILE_HEADER_BYTES) / 74));
    const { found } = await load(copy);
    expect(found, `${length} bytes`).toEqual(upTo(6 + whole));
    expect((await load(copy)).found).toEqual(found);
    expect(await copy.exists(`${CHUNK_DIR}/quarantine`)).toBe(false);
  }
});
