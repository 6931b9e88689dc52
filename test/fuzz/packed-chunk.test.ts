/** Damaged packed chunks: the kernel decodes what the twin decodes, and says "malformed" where the twin does. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { CodecKernel } from "../support/codec-kernel.ts";
import { putColumns } from "../support/columns.ts";
import { fuzz } from "../support/fuzz.ts";
import { decodePackedChunk } from "../support/packed-chunk-twin.ts";
import { samplesOf, TIME_CLASSES, VALUE_CLASSES } from "../support/packed-samples.ts";
import { seedFromEnv } from "../support/random.ts";
import { expectAsTheTwin } from "../support/same-decoding.ts";

const COUNT_MAX = 1024;
const codec = new CodecKernel({
  chunk: 1 << 16,
  times: COUNT_MAX * 8,
  values: COUNT_MAX * 8,
  scratch: COUNT_MAX * 16 + 4096,
});
const { kernel } = codec;

function decodesAsTheTwin(chunk: Uint8Array): void {
  const address = codec.put("chunk", chunk);
  const count = kernel.packedDecode(address, chunk.length, codec.at("times"), codec.at("values"), COUNT_MAX);
  const isChunk = expectAsTheTwin(codec, count, COUNT_MAX, () => decodePackedChunk(chunk));
  if (isChunk) expect(kernel.packedSampleCount(address, chunk.length)).toBe(count);
}

/** A chunk of each class of values, shortened so that mutations hit what matters. */
const corpus = Object.keys(VALUE_CLASSES).flatMap((valueClass, i) =>
  TIME_CLASSES.flatMap((timeClass) =>
    fc.sample(samplesOf(valueClass, timeClass), { numRuns: 1, seed: seedFromEnv() + i }).map((samples) => {
      const columns = putColumns(codec, ["times", "values"], samples.slice(0, 200));
      const chunkBytes = kernel.packedEncode(...columns, codec.at("chunk"), 1 << 16, codec.at("scratch"));
      return codec.take("chunk", chunkBytes);
    }),
  ),
);

test("any bytes are decoded as the twin decodes them, or malformed for both", async () => {
  const runs = await fuzz({
    name: "test/fuzz/packed-chunk",
    corpus,
    dictionary: [
      "04",
      "0a",
      "80",
      "ffffffffffffffffff01",
      "feffffffffffffffff01",
      "40",
      "c0",
      "1f",
      "9f",
      "98",
      "18",
    ].map((hex) => Buffer.from(hex, "hex")),
    inputBytesMax: 4096,
    run: decodesAsTheTwin,
  });
  expect(runs).toBeGreaterThan(0);
});
