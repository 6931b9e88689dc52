/** The configuration file is written by people and by templates that go wrong. */
import { expect, test } from "vitest";
import { parseConfigFile } from "../../src/tsdb/config/file.ts";
import { allSettings } from "../../src/tsdb/config/settings.ts";
import { fuzz } from "../support/fuzz.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const files = [
  "storage:\n  data_dir: ./data\n  retention: 15d\nwal:\n  sync: always\n  segment_size: 128MB\n",
  "# a comment\nserver: {listen: '127.0.0.1:8080'}\nlimits:\n  max_labels_per_series: 64\n",
  "anchors: &a [1, 2]\nwal: *a\n",
  "wal:\n  sync: !!str always\n  sync: interval\n---\nsecond: document\n",
];
const words = [
  ": ",
  "- ",
  "&a ",
  "*a ",
  "!!",
  "{",
  "[",
  "\n  ",
  "? ",
  "| ",
  "> ",
  "<<: ",
  "__proto__: ",
  "constructor: ",
  "\t",
  "%YAML 1.1\n",
];

test("any text is a configuration or is refused with its place", async () => {
  const runs = await fuzz({
    name: "test/fuzz/config",
    corpus: [...files, allSettings.map(({ key }) => `${key.split(".")[0]}:\n  ${key.split(".")[1]}: 1`).join("\n")].map(
      bytes,
    ),
    dictionary: words.map(bytes),
    inputBytesMax: 4096,
    run: (input) => {
      const { values, problems } = parseConfigFile(new TextDecoder().decode(input), "f.yml");
      for (const problem of problems) expect(problem).toMatch(/^f\.yml:\d+:\d+: \S/);
      for (const { line, column } of values) expect(Math.min(line, column)).toBeGreaterThan(0);
    },
  });
  expect(runs).toBeGreaterThan(0);
});
