/** What holds for every file, whatever is in it: it opens by saying what it is, stays small, and leaves nothing behind. */
import { expect, test } from "vitest";
import { filesLike, lineOf, read, withoutComments } from "./sources.ts";

const code = filesLike(/^(src|test|e2e|bench|scripts|bin)\/.*\.m?[tj]s$/);

const LINES_MAX = 500;
const COLUMNS_MAX = 120;

/** Files that may be longer, each with its reason. */
const longFiles: Readonly<Record<string, string>> = {
  "src/tsdb/kernel/assembly/layout.ts": "each struct once: offsets, sizes and owners are read side by side",
};

test("every file of code opens with a comment that says what it is; a test file may leave it to its tests' names", () => {
  const files = code.filter((path) => !path.endsWith(".test.ts"));
  const silent = files.filter((path) => !/^(#!.*\n)?(\/\*\*?|\/\/) ?\S?/.test(read(path)));
  expect(silent, "open these with what they are, their invariants, their bytes or data").toEqual([]);
});

test("no file is long without a reason", () => {
  const long = code
    .map((path) => ({ path, lines: read(path).split("\n").length }))
    .filter(({ path, lines }) => lines > LINES_MAX && !(path in longFiles))
    .map(({ path, lines }) => `${path}: ${lines} lines`);
  expect(long, "look for the second noun in these, or list them with a reason in files.test.ts").toEqual([]);
  const listed = Object.keys(longFiles).filter((path) => !code.includes(path));
  expect(listed, "these are gone: take them off the list").toEqual([]);
});

test("AssemblyScript, which no formatter reads, keeps the layout of the rest", () => {
  const offences = filesLike(/^src\/tsdb\/kernel\/assembly\/.*\.ts$/).flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, i) => {
        const at = `${path}:${i + 1}`;
        const columns = Array.from(line).length;
        if (columns > COLUMNS_MAX) return [`${at} is ${columns} columns wide: break it at ${COLUMNS_MAX}`];
        return /\t|\s$/.test(line) ? [`${at} has a tab or trailing space`] : [];
      }),
  );
  expect(offences).toEqual([]);
});

test("no test is left alone or switched off, and no debugging is left behind", () => {
  const traces = [
    { pattern: /\b(?:test|it|describe)\.only\b/, instead: "run one test with `npm test -- -t NAME`" },
    { pattern: /\b(?:test|it|describe)\.(?:skip|todo)\(/, instead: "use test.skipIf with a reason, or delete it" },
    { pattern: /\bdebugger\b/, instead: "remove it" },
    { pattern: /\bconsole\.(?:debug|trace|dir)\(/, instead: "remove it" },
  ];
  const offences = code
    .filter((path) => path !== "test/tidy/files.test.ts")
    .flatMap((path) => {
      const text = withoutComments(read(path));
      return traces.flatMap(({ pattern, instead }) => {
        const found = pattern.exec(text);
        return found ? [`${path}:${lineOf(text, found.index)} has ${found[0]}: ${instead}`] : [];
      });
    });
  expect(offences).toEqual([]);
});

test("the database never prints: it logs, and the command line writes to its streams", () => {
  const offences = filesLike(/^src\/.*\.ts$/).filter((path) => /\bconsole\./.test(withoutComments(read(path))));
  expect(offences, "log through the Logger, or write to process.stdout in src/tsdb/cli").toEqual([]);
});
