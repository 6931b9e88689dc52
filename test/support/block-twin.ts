/**
 * Blocks by the book (Prometheus' tsdb/docs/format), with whole files in memory and plain objects: what our writer and
 * reader are compared with.
 */
import { join } from "node:path/posix";
import { crc32c } from "../../src/base/crc32c.ts";
import type { Vfs } from "../../src/base/vfs.ts";
import type { LabelSet } from "../../src/tsdb/model/labels.ts";

export interface TwinChunk {
  readonly mint: number;
  readonly maxt: number;
  readonly ref: bigint;
  readonly encoding: number;
  readonly data: Uint8Array;
}

export interface TwinSeries {
  readonly id: number;
  readonly labels: LabelSet;
  readonly chunks: readonly TwinChunk[];
}

export interface TwinBlock {
  readonly symbols: readonly string[];
  readonly series: readonly TwinSeries[];
  /** Of the postings offset table, in its order: name, value, ids. */
  readonly postings: readonly (readonly [name: string, value: string, ids: readonly number[]])[];
}

export function readAll(vfs: Vfs, path: string): Uint8Array {
  const file = vfs.openSync(path);
  const bytes = new Uint8Array(file.sizeBytesSync());
  file.readSync(bytes, 0);
  file.closeSync();
  return bytes;
}

class Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  u32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4);
  }

  uvarint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  varint(): bigint {
    const value = this.uvarint();
    return (value & 1n) === 0n ? value >> 1n : -((value + 1n) >> 1n);
  }

  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  text(): string {
    return Buffer.from(this.take(Number(this.uvarint()))).toString("utf8");
  }

  crc(from: number): void {
    const to = this.at;
    if (crc32c(this.bytes.subarray(from, to)) !== this.u32()) throw new Error(`checksum mismatch at byte ${to}`);
  }
}

/** @throws Error when a checksum does not match */
export function readBlockByTheBook(vfs: Vfs, dir: string): TwinBlock {
  const bytes = readAll(vfs, join(dir, "index"));
  const toc = new DataView(bytes.buffer, bytes.byteLength - 52);
  const [symbolsAt, seriesAt, seriesEnd, , , tableAt] = Array.from({ length: 6 }, (_, i) =>
    Number(toc.getBigUint64(8 * i)),
  );
  const cursor = new Cursor(bytes, bytes.byteLength - 4);
  if (crc32c(bytes.subarray(-52, -4)) !== cursor.u32()) throw new Error("checksum mismatch of the table of contents");

  cursor.at = symbolsAt!;
  const symbolBytes = cursor.u32();
  const symbols = Array.from({ length: cursor.u32() }, () => cursor.text());
  if (cursor.at !== symbolsAt! + 4 + symbolBytes) throw new Error("symbols of another length");
  cursor.crc(symbolsAt! + 4);

  const files = vfs.listSync(join(dir, "chunks")).map((name) => readAll(vfs, join(dir, "chunks", name)));
  const series: TwinSeries[] = [];
  for (cursor.at = seriesAt!; ;) {
    while (cursor.at % 16 !== 0) cursor.at++;
    if (cursor.at >= seriesEnd!) break;
    const id = cursor.at / 16;
    const length = Number(cursor.uvarint());
    const start = cursor.at;
    const labels = Array.from(
      { length: Number(cursor.uvarint()) },
      () => [symbols[Number(cursor.uvarint())]!, symbols[Number(cursor.uvarint())]!] as const,
    );
    let maxt = 0n;
    let ref = 0n;
    const chunks = Array.from({ length: Number(cursor.uvarint()) }, (_, i) => {
      const mint = i === 0 ? cursor.varint() : maxt + cursor.uvarint();
      maxt = mint + cursor.uvarint();
      ref = i === 0 ? cursor.uvarint() : ref + cursor.varint();
      return { mint: Number(mint), maxt: Number(maxt), ref, ...chunkAt(files, ref) };
    });
    if (cursor.at !== start + length) throw new Error("a series of another length");
    cursor.crc(start);
    series.push({ id, labels, chunks });
  }

  cursor.at = tableAt!;
  cursor.u32();
  const postings = Array.from({ length: cursor.u32() }, () => {
    if (cursor.uvarint() !== 2n) throw new Error("not two keys");
    const name = cursor.text();
    const value = cursor.text();
    const list = new Cursor(bytes, Number(cursor.uvarint()));
    if (list.at % 4 !== 0) throw new Error("postings at an odd place");
    const start = list.at + 4;
    list.u32();
    const ids = Array.from({ length: list.u32() }, () => list.u32());
    list.crc(start);
    return [name, value, ids] as const;
  });
  cursor.crc(tableAt! + 4);
  return { symbols, series, postings };
}

function chunkAt(files: readonly Uint8Array[], ref: bigint): { readonly encoding: number; readonly data: Uint8Array } {
  const cursor = new Cursor(files[Number(ref >> 32n)]!, Number(ref & 0xffff_ffffn));
  const length = Number(cursor.uvarint());
  const start = cursor.at;
  const encoding = cursor.take(1)[0]!;
  const data = cursor.take(length);
  cursor.crc(start);
  return { encoding, data };
}
