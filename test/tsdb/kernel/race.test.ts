/** The short version of e2e/races: readers in threads of their own against the writer on shared memory. */
import { expect, test } from "vitest";
import { seedFromEnv } from "../../support/random.ts";
import { race } from "../../support/race/race.ts";

test("readers that race the writer, and die at any point, see no torn sample, label or selection", async () => {
  const seed = seedFromEnv();
  const result = await race({
    seed,
    seconds: 3,
    cells: 10_000,
    samplesRead: 100_000,
    readersKilled: 3,
    readers: 2,
    debug: true,
  });
  expect(result.findings, `seed ${seed}`).toEqual([]);
  expect(result.torn).toBe(0);
  expect(result.seriesCollected).toBeGreaterThan(0);
});

test.each([
  { without: "epochs", sees: "torn reads", options: { withoutEpochs: true } },
  { without: "views", sees: "labels of other series", options: { withoutViews: true } },
])("without $without the same race sees $sees", async ({ options }) => {
  const seed = seedFromEnv();
  const result = await race({
    seed,
    seconds: 50,
    cells: 0,
    samplesRead: 0,
    readersKilled: 0,
    readers: 2,
    debug: true,
    ...options,
  });
  expect(result.torn, `seed ${seed}`).toBeGreaterThan(0);
});
