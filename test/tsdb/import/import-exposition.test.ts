import { expect, test } from "vitest";
import { importExposition, type ImportOptions, type ImportResult } from "../../../src/tsdb/import/import-exposition.ts";
import { loadKernelModule } from "../../../src/tsdb/kernel/load.ts";
import { formatLabelSet } from "../../../src/tsdb/model/labels.ts";
import { ulidMaker } from "../../../src/tsdb/model/ulid.ts";
import { openBlock, samplesOf } from "../../support/blocks.ts";
import { bitsOf } from "../../support/database.ts";
import { Random, seedFromEnv } from "../../support/random.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";

const BLOCKS = "/data/blocks";
const HOUR = 3_600_000;
const module = loadKernelModule({ debug: true });

async function importText(vfs: MemoryVfs, text: string, options: Partial<ImportOptions> = {}): Promise<ImportResult> {
  await vfs.mkdir(BLOCKS);
  const makeUlid = ulidMaker((into) => into.fill(7));
  const bytes = Buffer.from(text);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  }
  return importExposition(pieces(), {
    vfs,
    module,
    blocksDir: BLOCKS,
    spillDir: "/data/import.tmp",
    format: "text",
    rangeMs: 2 * HOUR,
    latestMs: Date.UTC(2030, 0),
    nextUlid: () => makeUlid(Date.UTC(2026, 0)),
    check: () => undefined,
    onProgress: () => undefined,
    ...options,
  });
}

/** All samples of all blocks as `labels time bits`, blocks and series in order. */
function contentsOf(vfs: MemoryVfs, { blocks }: ImportResult): string[] {
  return blocks.flatMap(({ meta }) => {
    const block = openBlock(vfs, `${BLOCKS}/${meta.ulid}`);
    const found = samplesOf(block);
    block.close();
    return found.flatMap(({ labels, chunks }) =>
      chunks.flat().map(({ timeMs, value }) => `${formatLabelSet(labels)} ${timeMs} ${value.toString(16)}`),
    );
  });
}

test("samples in any order become blocks of two hours that hold exactly them", async () => {
  const random = new Random(seedFromEnv());
  for (const memoryBytesMax of [undefined, 20_000]) {
    const vfs = new MemoryVfs();
    const samples = new Map<string, { series: string; timeMs: number; value: number }>();
    while (samples.size < 4_000) {
      const series = `m${random.below(5)}{host="h\u{1f600}${random.below(7)}"}`;
      const timeMs = random.between(-HOUR, 11 * HOUR);
      const value = random.pick([0, -0, 1.5, Number.POSITIVE_INFINITY, 5e-324, random.next() * 1e9]);
      samples.set(`${series} ${timeMs}`, { series, timeMs, value });
    }
    const valueText = (value: number): string =>
      Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "Inf");
    const lines = [...samples.values()].map(({ series, timeMs, value }) => `${series} ${valueText(value)} ${timeMs}\n`);
    const result = await importText(vfs, lines.join(""), memoryBytesMax === undefined ? {} : { memoryBytesMax });
    expect(result).toMatchObject({ samples: 4_000, series: 35, repeated: 0, exemplars: 0 });
    expect(result.blocks).toHaveLength(7);
    for (const { meta } of result.blocks)
      expect(Math.floor(meta.minTime / (2 * HOUR))).toBe(Math.floor((meta.maxTime - 1) / (2 * HOUR)));
    const expected = [...samples.values()].map(
      ({ series, timeMs, value }) => `${series} ${timeMs} ${bitsOf(value).toString(16)}`,
    );
    expect(contentsOf(vfs, result).sort()).toEqual(expected.sort());
    expect(await vfs.exists("/data/import.tmp")).toBe(false);
    expect(vfs.openPaths).toEqual([]);
  }
});

test("of two samples at one time the first in the text counts, and the other is told", async () => {
  const vfs = new MemoryVfs();
  const result = await importText(vfs, 'a{x="1"} 1 5000\na{x="1"} 3 6000\n{"a",x="1"} 2 5000\na{x="1"} 1 4000\n');
  expect(result).toMatchObject({ samples: 3, series: 1, repeated: 1 });
  expect(contentsOf(vfs, result)).toEqual(
    [4000, 5000, 6000].map((time, i) => `a{x="1"} ${time} ${bitsOf([1, 1, 3][i]!).toString(16)}`),
  );
});

test("a NaN of text is the NaN that Prometheus reads in it", async () => {
  const vfs = new MemoryVfs();
  expect(contentsOf(vfs, await importText(vfs, "a NaN 1\n"))).toEqual(["a 1 7ff8000000000001"]);
});

test("a text with an error, a time in the future or too many ranges leaves nothing", async () => {
  const good = Array.from({ length: 3_000 }, (_, i) => `a ${i} ${i * 60_000}\n`).join("");
  const wrong = {
    [`${good}a 1\n`]: "line 3001, column 4: the sample has no time",
    [`${good}a 1 ${Date.UTC(2031, 0)}\n`]: "line 3001: the time 2031-01-01T00:00:00.000Z is in the future",
    [Array.from({ length: 50_001 }, (_, i) => `a 1 ${i * 2 * HOUR}\n`).join("")]: "The samples are spread over",
  };
  for (const [text, says] of Object.entries(wrong)) {
    const vfs = new MemoryVfs();
    const options = text.startsWith(good) ? { memoryBytesMax: 10_000 } : {};
    await expect(importText(vfs, text, options)).rejects.toThrow(says);
    expect(await vfs.list(BLOCKS)).toEqual([]);
    expect(await vfs.exists("/data/import.tmp")).toBe(false);
    expect(vfs.openPaths).toEqual([]);
  }
});

test("an import that is stopped while it writes leaves nothing", async () => {
  const text = Array.from({ length: 3_000 }, (_, i) => `a ${i} ${i * 60_000}\n`).join("");
  for (let calls = 5; calls < 400; calls += 23) {
    const vfs = new MemoryVfs();
    let left = calls;
    const check = (): void => {
      if (left-- === 0) throw new Error("stopped");
    };
    const result = await importText(vfs, text, { check, memoryBytesMax: 10_000 }).catch(() => undefined);
    expect((await vfs.list(BLOCKS)).length).toBe(result?.blocks.length ?? 0);
    expect(await vfs.exists("/data/import.tmp")).toBe(false);
    expect(vfs.openPaths).toEqual([]);
  }
});

test("a text without samples makes no blocks", async () => {
  expect(await importText(new MemoryVfs(), "# EOF\n", { format: "openmetrics" })).toEqual({
    blocks: [],
    series: 0,
    samples: 0,
    repeated: 0,
    exemplars: 0,
  });
});
