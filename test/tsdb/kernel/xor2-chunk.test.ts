import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CHUNK_XOR2 } from "../../../src/tsdb/storage.ts";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { takeColumns } from "../../support/columns.ts";
import { decodeXor2Chunk } from "../../support/xor2-chunk-twin.ts";

const COUNT_MAX = 256;
const codec = new CodecKernel({ times: COUNT_MAX * 8, values: COUNT_MAX * 8, chunk: 8192 });

interface Golden {
  readonly name: string;
  readonly times: readonly string[];
  readonly values: readonly string[];
  readonly chunk: string;
}
const golden = JSON.parse(
  readFileSync(new URL("../../testdata/xor-chunks/xor2-chunks.json", import.meta.url), "utf8"),
) as readonly Golden[];

test.each(golden)("Prometheus' XOR2 chunk of $name is read bit for bit", ({ times, values, chunk }) => {
  const samples = times.map((time, i) => ({ timeMs: Number(time), value: BigInt(`0x${values[i]!}`) }));
  const bytes = Uint8Array.from(Buffer.from(chunk, "base64"));
  expect(decodeXor2Chunk(bytes)).toEqual(samples);
  const decode = (countMax: number, byteCount = bytes.length) => {
    const at = codec.put("chunk", bytes.subarray(0, byteCount));
    return codec.kernel.decodeChunk(CHUNK_XOR2, at, byteCount, codec.at("times"), codec.at("values"), countMax);
  };
  expect(decode(COUNT_MAX)).toBe(samples.length);
  codec.checkGuards();
  expect(takeColumns(codec, ["times", "values"], samples.length)).toEqual(samples);
  expect(codec.kernel.chunkSampleCount(CHUNK_XOR2, codec.at("chunk"), bytes.length)).toBe(samples.length);
  expect(decode(samples.length - 1)).toBe(-1);
  expect(decode(COUNT_MAX, bytes.length - 2)).toBe(-1);
});
