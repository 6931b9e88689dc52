/** Damaged chunks: the kernel decodes what the twin decodes, and says "malformed" where the twin does. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CodecKernel } from "../support/codec-kernel.ts";
import { fuzz } from "../support/fuzz.ts";
import { expectAsTheTwin } from "../support/same-decoding.ts";
import { decodeXorChunk } from "../support/xor-chunk-twin.ts";

const COUNT_MAX = 512;
const codec = new CodecKernel({ chunk: 1 << 16, times: COUNT_MAX * 8, values: COUNT_MAX * 8 });

function decodesAsTheTwin(chunk: Uint8Array): void {
  const address = codec.put("chunk", chunk);
  const count = codec.kernel.xorDecode(address, chunk.length, codec.at("times"), codec.at("values"), COUNT_MAX);
  expectAsTheTwin(codec, count, COUNT_MAX, () =>
    decodeXorChunk(chunk).map(({ timestampMs, value }) => ({ timeMs: Number(timestampMs), value })),
  );
}

const golden = JSON.parse(
  readFileSync(new URL("../testdata/xor-chunks/chunks.json", import.meta.url), "utf8"),
) as readonly { readonly chunk: string }[];

test("any bytes are decoded as the twin decodes them, or malformed for both", async () => {
  const runs = await fuzz({
    name: "test/fuzz/xor-chunk",
    corpus: golden.map(({ chunk }) => Buffer.from(chunk, "base64")),
    dictionary: ["ff", "f8", "ffffffffffffffffff01", "c0", "00"].map((hex) => Buffer.from(hex, "hex")),
    inputBytesMax: 4096,
    run: decodesAsTheTwin,
  });
  expect(runs).toBeGreaterThan(0);
});
