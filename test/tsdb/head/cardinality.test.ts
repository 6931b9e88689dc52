import { expect, onTestFinished, test } from "vitest";
import { cardinality } from "../../../src/tsdb/head/cardinality.ts";
import { HeadMemory } from "../../../src/tsdb/kernel/head-memory.ts";
import { bitsOf, openDatabase, write } from "../../support/database.ts";
import { MemoryVfs } from "../../support/vfs/memory.ts";
import type { TwinSeries } from "../../support/remote-write-twin.ts";

const labelled = (labels: Readonly<Record<string, string>>, timeMs: number): TwinSeries => ({
  labels: Object.entries(labels),
  samples: [{ timestampMs: BigInt(timeMs), value: bitsOf(1) }],
});

test("counts are those of all series, largest first, as many as were asked for", async () => {
  const database = await openDatabase(new MemoryVfs());
  onTestFinished(() => database.close());
  const timeMs = Date.UTC(2026, 0, 1);
  await write(database, [
    ...Array.from({ length: 5 }, (_, i) => labelled({ __name__: "cpu", host: `h${i}` }, timeMs)),
    ...Array.from({ length: 3 }, (_, i) =>
      labelled({ __name__: "mem", host: `h${i}`, zone: Buffer.from("é").toString("latin1") }, timeMs + 7),
    ),
    labelled({ __name__: "up" }, timeMs - 9),
  ]);
  const { module, memory } = database.attach()!;
  const counted = cardinality(HeadMemory.attach(module, memory), 2);
  expect(counted).toEqual({
    seriesCount: 9,
    labelPairCount: 9,
    chunkCount: 9,
    minTime: timeMs - 9,
    maxTime: timeMs + 7,
    seriesCountByMetricName: [
      { name: "cpu", value: 5 },
      { name: "mem", value: 3 },
    ],
    labelValueCountByLabelName: [
      { name: "host", value: 5 },
      { name: "__name__", value: 3 },
    ],
    memoryInBytesByLabelName: [
      { name: "__name__", value: 26 },
      { name: "host", value: 16 },
    ],
    seriesCountByLabelValuePair: [
      { name: "__name__=cpu", value: 5 },
      { name: "__name__=mem", value: 3 },
    ],
  });
});

test("an empty head has nothing to count", async () => {
  const database = await openDatabase(new MemoryVfs());
  onTestFinished(() => database.close());
  const { module, memory } = database.attach()!;
  expect(cardinality(HeadMemory.attach(module, memory), 10)).toMatchObject({
    seriesCount: 0,
    minTime: undefined,
    seriesCountByMetricName: [],
  });
});

test("counting stops when it is told to", async () => {
  const database = await openDatabase(new MemoryVfs());
  onTestFinished(() => database.close());
  await write(database, [labelled({ __name__: "up" }, Date.UTC(2026, 0, 1))]);
  const { module, memory } = database.attach()!;
  const stop = (): never => {
    throw new Error("stopped");
  };
  expect(() => cardinality(HeadMemory.attach(module, memory), 10, stop)).toThrow("stopped");
});
