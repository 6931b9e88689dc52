/** Blocks as queries read them, against a reader that looks at every series. */
import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { BlockStorage } from "../../../src/tsdb/block/block-storage.ts";
import { replaceTombstones, Tombstones } from "../../../src/tsdb/block/tombstones.ts";
import { SeriesEntry } from "../../../src/tsdb/index/series-entry.ts";
import { compareBytes, compareLabelSets } from "../../../src/tsdb/model/labels.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import type { Matcher } from "../../../src/tsdb/model/matcher.ts";
import { DEFAULT_LIMITS, QueryBudget } from "../../../src/tsdb/promql/budget.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import { MergedStorage } from "../../../src/tsdb/query/merged-storage.ts";
import type { BlockRef } from "../../../src/tsdb/storage.ts";
import { type BlockSeries, openBlock, ULID_A, ULID_B, writeBlock } from "../../support/blocks.ts";
import { matchesAll } from "../../support/fake-storage.ts";
import { flipBit } from "../../support/flip.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { keyOf, readStorage } from "../../support/read-storage.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const DIR = "/blocks";
const MIB = 2 ** 20;

interface StoredSeries extends BlockSeries {
  readonly deleted: readonly (readonly [mint: number, maxt: number])[];
}

const NAMES = ["__name__", "job", "\u{1f600}", "\uff5e", "7"];
const VALUES = ["a", "b", "ab", "\uff5e", "\u{1f600}", "x\ny"];

function randomLabels(random: Random): LabelSet {
  const names = NAMES.filter((name) => name === "__name__" || random.chance(0.6));
  return names.map((name) => [name, random.pick(VALUES)] as const).sort(([a], [b]) => compareBytes(a, b));
}

/** Times from 0 to 1000, in up to six chunks. */
function randomSeries(random: Random): StoredSeries[] {
  const byKey = new Map<string, StoredSeries>();
  for (let i = random.between(1, 40); i > 0; i--) {
    const labels = randomLabels(random);
    let timeMs = random.below(800);
    const chunks = Array.from({ length: random.between(1, 6) }, () =>
      Array.from({ length: random.between(1, 20) }, () => ({
        timeMs: (timeMs += random.between(1, 4)),
        value: BigInt(random.below(2 ** 31)),
      })),
    );
    const deleted = Array.from({ length: random.chance(0.4) ? random.between(1, 3) : 0 }, () => {
      const mint = random.below(1000);
      return [mint, random.between(mint, 1200)] as const;
    });
    byKey.set(keyOf(labels), { labels, chunks, deleted });
  }
  return [...byKey.values()];
}

const PATTERNS = ["", "a", "a|b", "a.*", ".*", ".+", "[ab]+", "x.y", "a|"];

function randomMatchers(random: Random): Matcher[] {
  return Array.from({ length: random.below(4) }, (): Matcher => {
    const type = random.pick(["=", "!=", "=~", "!~"] as const);
    const value = type === "=" || type === "!=" ? random.pick([...VALUES, ""]) : random.pick(PATTERNS);
    return { type, name: random.pick([...NAMES, "none"]), value };
  });
}

async function store(vfs: MemoryVfs, ulid: string, series: readonly StoredSeries[]): Promise<BlockRef> {
  const { meta } = await writeBlock({ vfs, blocksDir: DIR, ulid, chunkFileBytesMax: 3000 }, series);
  const tombstones = new Tombstones();
  const block = openBlock(vfs, `${DIR}/${ulid}`);
  const inOrder = [...series].sort((a, b) => compareLabelSets(a.labels, b.labels));
  for (const [i, id] of block.index.allPostings().entries())
    for (const [mint, maxt] of inOrder[i]!.deleted) tombstones.add(id, mint, maxt);
  block.close();
  await replaceTombstones(vfs, `${DIR}/${ulid}`, tombstones);
  return { ulid, minTime: meta.minTime, maxTime: meta.maxTime, tombstonesVersion: 1 };
}

/** Samples of a series that are not deleted, in a range. */
const samplesWithin = ({ chunks, deleted }: StoredSeries, from: number, to: number) =>
  chunks
    .flat()
    .filter(({ timeMs }) => timeMs >= from && timeMs <= to)
    .filter(({ timeMs }) => !deleted.some(([mint, maxt]) => timeMs >= mint && timeMs <= maxt))
    .map(({ timeMs, value }) => [timeMs, value] as const);

const querierOf = (blocks: BlockStorage, refs: readonly BlockRef[]) =>
  new MergedStorage(blocks.sources(refs)).querier({
    labels: new LabelTable(),
    budget: new QueryBudget(DEFAULT_LIMITS, systemClock),
  });

test("a block answers what a look at every series answers: samples, names and values, without what is deleted", async () => {
  const seed = seedFromEnv();
  for (let trial = 0; trial < 30; trial++) {
    const random = new Random(seed + trial);
    const vfs = new MemoryVfs();
    const series = randomSeries(random);
    const ref = await store(vfs, ULID_A, series);
    const keptChunksMax = random.pick([0, 20, 100, 10_000]);
    const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB, keptChunksMax });
    for (let query = 0; query < 10; query++) {
      const what = `query ${query}; SEED=${seed + trial}`;
      const matchers = randomMatchers(random);
      const [mint, maxt] = random.chance(0.3) ? [0, 2000] : [random.below(600), random.between(600, 1200)];
      const matching = series.filter(({ labels }) => matchesAll(matchers, labels));
      const expected = new Map(
        matching
          .map((one) => [keyOf(one.labels), samplesWithin(one, mint, maxt)] as const)
          .filter(([, samples]) => samples.length > 0),
      );
      const { series: read, warnings } = readStorage(new MergedStorage(blocks.sources([ref])), {
        matchers,
        mint,
        maxt,
      });
      expect(warnings, what).toEqual([]);
      const known = new Set(matching.map(({ labels }) => keyOf(labels)));
      const found = new Map<string, (readonly [number, bigint])[]>();
      for (const [key, { times, bits }] of read) {
        expect(known.has(key), `${key} does not match; ${what}`).toBe(true);
        const samples = times.map((time, i) => [time, bits[i]!] as const);
        const within = samples.filter(([time]) => time >= mint && time <= maxt);
        if (within.length > 0) found.set(key, within);
      }
      expect(found, what).toEqual(expected);

      const querier = querierOf(blocks, [ref]);
      const withSamples = matching.filter(({ labels }) => read.has(keyOf(labels))).map(({ labels }) => labels);
      // Without matchers and deletions the index answers for the whole block.
      const isWhole = matchers.length === 0 && series.every(({ deleted }) => deleted.length === 0);
      const labelSets = isWhole ? series.map(({ labels }) => labels) : withSamples;
      const texts = (all: string[]) => [...new Set(all)].sort(compareBytes);
      const names = texts(labelSets.flatMap((labels) => labels.map(([name]) => name)));
      const isInRange = ref.minTime <= maxt && ref.maxTime > mint;
      expect(querier.labelNames(matchers, mint, maxt), what).toEqual(isInRange ? names : []);
      const name = random.pick([...NAMES, "none"]);
      const values = texts(labelSets.flatMap((labels) => labels.filter(([n]) => n === name).map(([, value]) => value)));
      expect(querier.labelValues(name, matchers, mint, maxt), what).toEqual(isInRange ? values : []);
      querier.close();
    }
    blocks.close();
    expect(vfs.openPaths).toEqual([]);
  }
});

/** Damages a byte. */
const flip = (vfs: MemoryVfs, path: string, at: number): Promise<void> => flipBit(vfs, path, 8 * at + 6);

const sizeOf = async (vfs: MemoryVfs, path: string): Promise<number> => (await vfs.stat(path))!.sizeBytes;

/** Three series of four chunks. */
const plain = (): StoredSeries[] =>
  ["a", "b", "c"].map((value) => ({
    labels: [["__name__", value]],
    deleted: [],
    chunks: Array.from({ length: 4 }, (_, chunk) =>
      Array.from({ length: 10 }, (__, i) => ({ timeMs: 1000 * chunk + 10 * i, value: BigInt(1000 * chunk + i) })),
    ),
  }));

test("a byte that changes in a block costs at most what it is part of, and the answer says which times are missing", async () => {
  const sound = new MemoryVfs();
  const ref = await store(sound, ULID_A, plain());
  const read = (vfs: MemoryVfs) => {
    const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB });
    const answer = readStorage(new MergedStorage(blocks.sources([ref])));
    blocks.close();
    return answer;
  };
  const whole = read(sound).series;
  const missing = { chunk: 0, more: 0, nothing: 0 };
  for (const name of await sound
    .list(`${DIR}/${ULID_A}/chunks`)
    .then((names) => names.map((file) => `chunks/${file}`).concat("index", "tombstones"))) {
    const path = `${DIR}/${ULID_A}/${name}`;
    for (let at = 0, size = await sizeOf(sound, path); at < size; at++) {
      const vfs = sound.kill();
      await flip(vfs, path, at);
      const { series, warnings } = read(vfs);
      let lost = 0;
      for (const [key, { times, bits }] of whole) {
        const found = series.get(key) ?? { times: [], bits: [] };
        const samples = new Map(times.map((time, i) => [time, bits[i]!]));
        for (const [i, time] of found.times.entries()) expect(found.bits[i]).toBe(samples.get(time));
        lost += times.length - found.times.length;
      }
      if (lost === 0) missing.nothing++;
      else {
        expect(warnings.join(), `byte ${at} of ${name}`).toMatch(
          new RegExp(`^Samples from 1970\\S+ to 1970\\S+ are missing from the result: Cannot read ${path}`),
        );
        if (lost === 10) missing.chunk++;
        else missing.more++;
      }
    }
  }
  // A changed byte of a chunk costs that chunk; of the index or a file's header, more.
  expect(missing.chunk).toBeGreaterThan(100);
  expect(missing.more).toBeGreaterThan(0);
});

test("many damaged chunks are told of in a few warnings, and to the listener once a query", async () => {
  const vfs = new MemoryVfs();
  const ref = await store(vfs, ULID_A, plain());
  const told: string[] = [];
  const onDamage = (ulid: string, message: string) => void told.push(`${ulid}: ${message}`);
  const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB, onDamage });
  const block = openBlock(vfs, `${DIR}/${ULID_A}`);
  const entry = new SeriesEntry();
  for (const id of block.index.allPostings()) {
    block.index.series(id, entry);
    for (const chunk of entry.ref.subarray(0, entry.chunkCount)) await flip(vfs, block.chunks.path(0), chunk + 5);
  }
  block.close();
  const { series, warnings } = readStorage(new MergedStorage(blocks.sources([ref])), { mint: 0, maxt: 4000 });
  expect([...series.values()].map(({ times }) => times.length)).toEqual([0, 0, 0]);
  expect(warnings).toHaveLength(11);
  expect(warnings.at(-1)).toBe(
    "Samples from 1970-01-01T00:00:02.000Z to 1970-01-01T00:00:03.090Z are missing from the result: " +
      `2 more parts of block ${ULID_A} are damaged`,
  );
  expect(told).toHaveLength(1);
  expect(told[0]).toContain(`${ULID_A}: Cannot read ${DIR}/${ULID_A}/chunks/000001 at byte 8: checksum mismatch`);
  blocks.close();
});

test("a block whose files are gone is named in a warning, and the other blocks are read", async () => {
  const vfs = new MemoryVfs();
  const refs = [await store(vfs, ULID_A, plain()), await store(vfs, ULID_B, plain())];
  const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB });
  await vfs.rename(`${DIR}/${ULID_A}`, `${DIR}/elsewhere`);
  const { series, warnings } = readStorage(new MergedStorage(blocks.sources(refs)));
  expect(series.size).toBe(3);
  expect(warnings).toEqual([
    "Samples from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:03.090Z are missing from the result: " +
      `Cannot read ${DIR}/${ULID_A}/meta.json at byte 0: it is missing`,
  ]);
  blocks.close();
});

test("blocks are opened when a query comes to them, and closed when no view has them or too many are open", async () => {
  const vfs = new MemoryVfs();
  const refs = [await store(vfs, ULID_A, plain()), await store(vfs, ULID_B, plain())];
  const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB, openBlocksMax: 1 });
  const openUlids = () => [...new Set(vfs.openPaths.map((path) => path.split("/")[2]))];
  blocks.sources(refs);
  expect(openUlids()).toEqual([]);
  readStorage(new MergedStorage(blocks.sources(refs.slice(1))));
  expect(openUlids()).toEqual([ULID_B]);
  readStorage(new MergedStorage(blocks.sources(refs)));
  expect(openUlids()).toEqual([ULID_A, ULID_B]);
  blocks.sources(refs);
  expect(openUlids()).toEqual([ULID_B]);
  blocks.sources(refs.slice(0, 1));
  expect(openUlids()).toEqual([]);
});

test("tombstones that were replaced count from the view on that has them", async () => {
  const vfs = new MemoryVfs();
  const ref = await store(vfs, ULID_A, plain());
  const blocks = new BlockStorage({ vfs, blocksDir: DIR, cacheBytesMax: MIB });
  const countOf = (view: BlockRef) =>
    readStorage(new MergedStorage(blocks.sources([view]))).series.get('__name__="a"')?.times.length;
  expect(countOf(ref)).toBe(40);
  const tombstones = new Tombstones();
  const block = openBlock(vfs, `${DIR}/${ULID_A}`);
  tombstones.add(block.index.postings("__name__", "a")[0]!, 0, 1050);
  block.close();
  await replaceTombstones(vfs, `${DIR}/${ULID_A}`, tombstones);
  expect(countOf(ref)).toBe(40);
  expect(countOf({ ...ref, tombstonesVersion: 2 })).toBe(24);
  blocks.close();
});
