/** One series of an index as bytes (format.ts), without its length and checksum. */
import { ByteReader } from "../../base/byte-reader.ts";
import type { ByteWriter } from "../../base/byte-writer.ts";
import type { SeriesEntry } from "./series-entry.ts";

export function encodeSeries(series: SeriesEntry, out: ByteWriter): void {
  out.uvarint(series.labelCount);
  for (let i = 0; i < 2 * series.labelCount; i++) out.uvarint(series.labels[i]!);
  out.uvarint(series.chunkCount);
  for (let i = 0; i < series.chunkCount; i++) {
    const mint = series.mint[i]!;
    const maxt = series.maxt[i]!;
    if (i === 0) {
      out.varint(mint);
      out.uvarint(maxt - mint);
      out.uvarint(series.ref[i]!);
    } else {
      out.uvarint(mint - series.maxt[i - 1]!);
      out.uvarint(maxt - mint);
      out.varint(series.ref[i]! - series.ref[i - 1]!);
    }
  }
}

/** @throws RangeError when the bytes are not a series */
export function decodeSeries(content: Uint8Array, into: SeriesEntry): void {
  into.clear();
  const from = new ByteReader(content);
  const labelCount = from.uvarint();
  for (let i = 0, before = -1; i < labelCount; i++) {
    const name = from.uvarint();
    if (name <= before) throw new RangeError("labels out of order");
    into.addLabel(name, from.uvarint());
    before = name;
  }
  const chunkCount = from.uvarint();
  for (let i = 0, maxt = 0, ref = 0; i < chunkCount; i++) {
    const mint = i === 0 ? from.varint() : maxt + from.uvarint();
    maxt = mint + from.uvarint();
    ref = i === 0 ? from.uvarint() : ref + from.varint();
    into.addChunk(mint, maxt, ref);
  }
  if (from.left > 0) throw new RangeError("something follows its chunks");
}
