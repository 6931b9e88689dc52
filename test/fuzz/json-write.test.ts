/** The JSON write body comes from anyone's script. */
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { writeRequestFromJson } from "../../src/tsdb/head/json-write.ts";
import { fuzz } from "../support/fuzz.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const body = (value: unknown): Uint8Array => bytes(JSON.stringify(value));
const series = (samples: readonly unknown[], name = "cpu"): unknown => ({
  labels: [
    { name: "__name__", value: name },
    { name: "héllo", value: "wörld \u{1f600}" },
  ],
  samples,
});

const WriteRequest = protobuf
  .parse(`
  syntax = "proto3";
  message WriteRequest { repeated TimeSeries timeseries = 1; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message Label { string name = 1; string value = 2; }
  message Sample { double value = 1; int64 timestamp = 2; }
`)
  .root.lookupType("WriteRequest");

test("any body becomes a well-formed request or is refused", async () => {
  const runs = await fuzz({
    name: "test/fuzz/json-write",
    corpus: [
      body({ timeseries: [series([{ timestamp: 1_700_000_000_000, value: 0.85 }])] }),
      body({ timeseries: [series([{ timestamp: -1, value: "NaN" }], "a"), series([], "b")] }),
      body({ timeseries: [] }),
      body({ timeseries: Array.from({ length: 20 }, (_, i) => series([{ timestamp: i, value: i / 3 }])) }),
    ],
    dictionary: [
      '{"',
      '"',
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      "\\u0000",
      "\\ud800",
      "1e400",
      "-0",
      "null",
      '"__proto__":',
      '"timeseries":',
    ].map(bytes),
    run: (input) => {
      const request = writeRequestFromJson(input);
      // A body says each thing once; protobuf's tags and lengths cost at most what JSON's brackets do.
      expect(request.byteLength).toBeLessThan(input.byteLength * 2 + 64);
      const decoded = WriteRequest.toObject(WriteRequest.decode(Uint8Array.from(request)), { arrays: true }) as {
        readonly timeseries: readonly unknown[];
      };
      const given = JSON.parse(new TextDecoder().decode(input)) as { readonly timeseries: readonly unknown[] };
      expect(decoded.timeseries.length).toBe(given.timeseries.length);
    },
  });
  expect(runs).toBeGreaterThan(0);
});
