/** The parts that an index is made with: symbols of several sources, postings, and pages that are read again. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareBytes } from "../../../src/tsdb/model/labels.ts";
import { PAGE_BYTES, PageCache, PagedFile } from "../../../src/tsdb/index/page-cache.ts";
import { PagedCursor } from "../../../src/tsdb/index/paged-cursor.ts";
import { PostingsBuilder } from "../../../src/tsdb/index/postings-builder.ts";
import { SeriesEntry } from "../../../src/tsdb/index/series-entry.ts";
import { sortedByBytes, SymbolTable } from "../../../src/tsdb/index/symbol-table.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const texts = fc.array(fc.oneof(fc.string({ unit: "binary", maxLength: 5 }), fc.constantFrom("", "\uffff", "😀")));
const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const textsOf = (table: SymbolTable): string[] =>
  Array.from({ length: table.count }, (_, i) => decode(table.bytesOf(i)));

test("a symbol table has each text once, in byte order, and finds it", () => {
  fc.assert(
    fc.property(texts, (given) => {
      const table = SymbolTable.of(given);
      const expected = [...new Set(given)].sort(compareBytes);
      expect(textsOf(table)).toEqual(expected);
      expect(sortedByBytes([...given])).toEqual([...given].sort(compareBytes));
      for (const [i, text] of expected.entries()) expect(table.find(new TextEncoder().encode(text))).toBe(i);
      expect(table.find(Uint8Array.of(0xff, 0xff))).toBe(undefined);
    }),
  );
});

test("merged symbols are those of all sources, and each source's numbers lead to the same texts", () => {
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 5 }), (given) => {
      const sources = given.map((one) => SymbolTable.of(one));
      const { table, numbers } = SymbolTable.merge(sources);
      const merged = textsOf(table);
      expect(merged).toEqual([...new Set(given.flat())].sort(compareBytes));
      for (const [i, source] of sources.entries())
        expect([...numbers[i]!].map((number) => merged[number])).toEqual(textsOf(source));
    }),
  );
});

test("postings are what a map of lists would hold, however few ids are laid out at a time", () => {
  const series = fc.array(fc.dictionary(fc.nat(8).map(String), fc.nat(6)), { maxLength: 300 });
  fc.assert(
    fc.property(series, fc.integer({ min: 1, max: 100 }), (given, batchIds) => {
      const builder = new PostingsBuilder(batchIds);
      const expected = new Map<string, number[]>();
      const entry = new SeriesEntry();
      for (const [i, labels] of given.entries()) {
        entry.clear();
        for (const [name, value] of Object.entries(labels)) {
          // Symbols that are not close to each other, and not in the order in which they are met.
          const pair = [1_000_003 * (9 - Number(name)), 77_777 * value] as const;
          entry.addLabel(...pair);
          const key = pair.map((symbol) => String(symbol).padStart(9, "0")).join();
          expected.set(key, [...(expected.get(key) ?? []), 3 * i + 1]);
        }
        builder.add(3 * i + 1, entry);
      }
      const found = [...builder.lists()].map(
        ({ name, value, ids }) =>
          [[name, value].map((symbol) => String(symbol).padStart(9, "0")).join(), [...ids]] as const,
      );
      expect(found).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
      expect([...builder.all()]).toEqual(given.map((_, i) => 3 * i + 1));
      expect(builder.pairCount).toBe(expected.size);
    }),
  );
});

test("a cache holds no more pages than it may, whatever is read through it", async () => {
  const vfs = new MemoryVfs();
  const content = Uint8Array.from({ length: 20 * PAGE_BYTES + 77 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  for (const name of ["/a", "/b"]) {
    const file = await vfs.open(name, "create");
    await file.write(content, 0);
    await file.close();
  }
  const cache = new PageCache(6 * PAGE_BYTES);
  const files = ["/a", "/b"].map((name) => PagedFile.open(vfs, name, cache));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(1), fc.nat(content.length), fc.nat(3 * PAGE_BYTES))), (reads) => {
      for (const [file, at, length] of reads) {
        const cursor = new PagedCursor(files[file]!);
        const end = Math.min(content.length, at + length);
        cursor.seek(at, end);
        expect(Buffer.compare(cursor.bytes(end - at), content.subarray(at, end))).toBe(0);
        expect(() => cursor.u8()).toThrow("it ends too soon");
        expect(cache.pageCount).toBeLessThanOrEqual(6);
      }
    }),
    { numRuns: 30 },
  );
  files[0]!.close();
  files[1]!.close();
  expect([cache.pageCount, vfs.openPaths]).toEqual([0, []]);
});
