/** Whole outputs, kept as files that are reviewed as diffs. `UPDATE=1 npm test` writes them anew. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const testdata = fileURLToPath(new URL("../testdata", import.meta.url));

/** @param path below test/testdata */
export function expectGolden(path: string, text: string): void {
  const file = join(testdata, path);
  if (process.env["UPDATE"]) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const kept = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  expect(text, `${path} is another; UPDATE=1 npm test writes it anew`).toBe(kept);
}
