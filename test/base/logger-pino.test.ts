import { expect, test } from "vitest";
import { TsdbError } from "../../src/base/errors.ts";
import { loggerTo } from "../../src/base/logger-pino.ts";

function capture(level: "debug" | "info" | "warn" | "error") {
  const lines: string[] = [];
  return {
    log: loggerTo({ write: (line) => void lines.push(line) }, level),
    lines,
    records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("a line is one JSON object with level as a word, ts in UTC with ms, the fields, and msg", () => {
  const { log, lines, records } = capture("info");
  log.info({ entries: 1234, duration_ms: 567 }, "replaying WAL");
  expect(lines[0]).toMatch(
    /^\{"level":"info","ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","entries":1234,"duration_ms":567,"msg":"replaying WAL"\}\n$/,
  );
  expect(Object.keys(records()[0]!)).toEqual(["level", "ts", "entries", "duration_ms", "msg"]);
});

test("messages below the level are left out, and the level can change while the log is in use", () => {
  const { log, records } = capture("warn");
  log.debug({}, "1");
  log.info({}, "2");
  log.warn({}, "3");
  log.setLevel("debug");
  log.debug({}, "4");
  log.error({}, "5");
  expect(records().map(({ level, msg }) => [level, msg])).toEqual([
    ["warn", "3"],
    ["debug", "4"],
    ["error", "5"],
  ]);
});

test("an error is one field: what happened, its code, what to do, why; no stack for what is no bug", () => {
  const { log, records } = capture("info");
  const cause = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  log.error(
    { error: new TsdbError("IO", "Cannot write wal/000001", { cause, remedy: "Free some space" }) },
    "write failed",
  );
  expect(records()[0]!["error"]).toEqual({
    message: "Cannot write wal/000001: no space left on device",
    code: "IO",
    remedy: "Free some space",
  });
});

test("an unexpected error keeps its stack", () => {
  const { log, records } = capture("info");
  log.error({ error: new TypeError("x is undefined") }, "internal error");
  expect(records()[0]!["error"]).toMatchObject({
    message: "x is undefined",
    stack: expect.stringContaining("logger-pino.test") as string,
  });
});

test("a hostile value cannot forge a line", () => {
  const { log, lines } = capture("info");
  log.info({ label: 'a"}\n{"level":"error"' }, "b\n\u001b[31mc");
  expect(lines.join("").match(/\n/g)).toHaveLength(1);
  expect(lines[0]).not.toContain("\u001b");
});
