/** What is written to a block is read back: by the format's own rules, and by our reader. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareLabelSets, compareBytes, type LabelSet } from "../../../src/tsdb/model/labels.ts";
import { checkBlock, sumBlock } from "../../../src/tsdb/block/check-block.ts";
import { PageCache } from "../../../src/tsdb/index/page-cache.ts";
import { chunkMemoryOf } from "../../../src/tsdb/block/walk-samples.ts";
import { readBlockByTheBook } from "../../support/block-twin.ts";
import { type BlockSeries, newMemory, openBlock, samplesOf, ULID_A, writeBlock } from "../../support/blocks.ts";
import { bitsOf, type Sample, specialBits } from "../../support/columns.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const texts = fc.oneof(
  fc.constantFrom("a", "b", "job", "😀", "\uffff", "\ue000z", "__name__", "\ufeff", "é"),
  fc.string({ minLength: 1, maxLength: 12, unit: "binary" }),
);
const labelSets = fc
  .dictionary(texts, texts, { minKeys: 1, maxKeys: 6, noNullPrototype: true })
  .map((pairs): LabelSet => Object.entries(pairs).sort(([a], [b]) => compareBytes(a, b)));
const bits = fc.oneof(fc.double().map(bitsOf), specialBits);
const chunksOf = fc
  .array(fc.array(fc.record({ step: fc.integer({ min: 1, max: 100_000 }), value: bits }), { minLength: 1 }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((chunks) =>
    fc.integer({ min: -1e12, max: 2e12 }).map((start) => {
      let timeMs = start;
      return chunks.map((chunk) => chunk.map(({ step, value }): Sample => ({ timeMs: (timeMs += step), value })));
    }),
  );
const blocks = fc.uniqueArray(fc.record({ labels: labelSets, chunks: chunksOf }), {
  selector: ({ labels }) => JSON.stringify(labels),
  maxLength: 30,
});

const sorted = (series: readonly BlockSeries[]): BlockSeries[] =>
  [...series].sort((a, b) => compareLabelSets(a.labels, b.labels));

test("a block holds what was written to it, by the book and by our reader", async () => {
  const memory = newMemory();
  await fc.assert(
    fc.asyncProperty(blocks, fc.integer({ min: 100, max: 3000 }), async (given, chunkFileBytesMax) => {
      const vfs = new MemoryVfs();
      const { samples, meta } = await writeBlock({ vfs, blocksDir: "/blocks", chunkFileBytesMax }, given);
      const expected = sorted(given);
      const dir = `/blocks/${ULID_A}`;

      const book = readBlockByTheBook(vfs, dir);
      expect(book.series.map(({ labels }) => labels)).toEqual(expected.map(({ labels }) => labels));
      expect(book.symbols).toEqual([...new Set(given.flatMap(({ labels }) => labels.flat()))].sort(compareBytes));
      const pairs = new Map<string, number[]>([[JSON.stringify(["", ""]), book.series.map(({ id }) => id)]]);
      for (const { id, labels } of book.series)
        for (const pair of labels) {
          const key = JSON.stringify(pair);
          pairs.set(key, [...(pairs.get(key) ?? []), id]);
        }
      expect(new Map(book.postings.map(([name, value, ids]) => [JSON.stringify([name, value]), ids]))).toEqual(pairs);
      const order = book.postings.map(([name, value]) => [[name, value]] as const);
      expect(order).toEqual([...order].sort(compareLabelSets));

      const block = openBlock(vfs, dir);
      expect(samplesOf(block)).toEqual(expected);
      expect(block.meta).toEqual(meta);
      expect(block.index.labelNames).toEqual(
        [...new Set(given.flatMap(({ labels }) => labels.map(([name]) => name)))].sort(compareBytes),
      );
      for (const [name, value, ids] of book.postings) {
        expect([...block.index.postings(name, value)]).toEqual(ids);
        expect(block.index.postings(name, `${value}!`)).toHaveLength(
          pairs.get(JSON.stringify([name, `${value}!`]))?.length ?? 0,
        );
      }
      expect(sumBlock(block, { memory, check: () => {} })).toEqual(samples);
      const options = { vfs, dir, cache: new PageCache(1 << 20), memory, check: () => {} };
      checkBlock(options, samples);
      expect(() => checkBlock(options, { ...samples, count: samples.count + 1 })).toThrow("instead of");
      block.close();
      expect(vfs.openPaths).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test("chunks are read in pieces, in whatever order they are asked for", async () => {
  const vfs = new MemoryVfs();
  const chunk = (from: number, count: number): Sample[] =>
    Array.from({ length: count }, (_, i) => ({ timeMs: from + i, value: bitsOf(Math.sqrt(from + i)) }));
  // Short and long ones: the longest outgrow what is read at once.
  const given = Array.from({ length: 40 }, (_, i) => ({
    labels: [["n", String(i).padStart(2, "0")]] as LabelSet,
    chunks: [chunk(0, 1 + i), chunk(1000, 400), chunk(2000, 3 * i + 1)],
  }));
  await writeBlock({ vfs, blocksDir: "/", chunkFileBytesMax: 20_000 }, given);
  const block = openBlock(vfs, `/${ULID_A}`);
  const chunks = readBlockByTheBook(vfs, `/${ULID_A}`).series.flatMap((series) => series.chunks);
  const memory = newMemory();
  const orders = [chunks, [...chunks].reverse(), chunks.filter((_, i) => i % 7 === 0), [chunks[3]!, chunks[3]!]];
  for (const order of orders) {
    memory.clear();
    const seen: Uint8Array[] = [];
    block.chunks.readMany(
      order.map(({ ref }) => Number(ref)),
      0,
      order.length,
      chunkMemoryOf(memory),
      {
        chunk: (i, encoding, address, bytes) => {
          expect([i, encoding]).toEqual([seen.length, order[i]!.encoding]);
          seen.push(memory.bytes.slice(address, address + bytes));
        },
        damage: (_, error) => {
          throw error;
        },
      },
    );
    expect(seen).toEqual(order.map(({ data }) => data));
  }
  expect(block.chunks.fileCount).toBeGreaterThan(1);
});
