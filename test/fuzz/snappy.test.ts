/** Compressed bytes as nobody would send them: the kernel decodes what the twin decodes, and refuses what it refuses. */
import { expect, test } from "vitest";
import { CodecKernel } from "../support/codec-kernel.ts";
import { fuzz } from "../support/fuzz.ts";
import { decodeSnappy } from "../support/snappy-twin.ts";
import { encodeWriteRequest, snappyCompress } from "../support/write-request.ts";

const BYTES_MAX = 1 << 17;
const codec = new CodecKernel({ input: 1 << 16, output: BYTES_MAX });

function decodesAsTheTwin(input: Uint8Array): void {
  const length = codec.kernel.snappyDecode(codec.put("input", input), input.length, codec.at("output"), BYTES_MAX);
  codec.checkGuards();
  let expected: Uint8Array | undefined;
  try {
    expected = decodeSnappy(input, BYTES_MAX);
  } catch {
    expected = undefined;
  }
  if (expected === undefined) expect(length).toBeLessThan(0);
  else expect(Buffer.compare(codec.take("output", length), expected)).toBe(0);
}

const message = encodeWriteRequest(
  Array.from({ length: 20 }, (_, i) => ({
    labels: { __name__: "http_requests_total", instance: `host-${i}`, path: "/api/v1/write".repeat(i % 4) },
    samples: [{ timestamp: 1_767_225_600_000, value: i }],
  })),
);

test("any input is decoded as the twin decodes it, or refused as the twin refuses it", async () => {
  const runs = await fuzz({
    name: "test/fuzz/snappy",
    corpus: [
      snappyCompress(message),
      snappyCompress(Buffer.from("a".repeat(3000))),
      snappyCompress(Buffer.from(Array.from({ length: 700 }, (_, i) => (i * i) & 255))),
      Buffer.from("08" + "0c" + "61626364" + "0104", "hex"),
      Buffer.from("0c" + "0c" + "61626364" + "1e0100", "hex"),
    ],
    dictionary: ["f000", "f4ffff", "fcffffffff", "01", "02", "03", "fe0100", "ff01000000", "8080808010"].map((hex) =>
      Buffer.from(hex, "hex"),
    ),
    run: decodesAsTheTwin,
  });
  expect(runs).toBeGreaterThan(0);
});
