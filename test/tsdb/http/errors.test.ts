import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { TsdbError } from "../../../src/base/errors.ts";
import { INTERNAL_MESSAGE, answerFor, httpErrors } from "../../../src/tsdb/http/errors.ts";

test("the reference explains every code with the status, type and Retry-After that it has, and no other code", () => {
  const text = readFileSync(new URL("../../../docs/reference/errors.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| `(\w+)` \| (\d+ s|-) \| .{10,} \|$/gm)].map(
    ([, code, status, errorType, retryAfter]) => ({ code, status: Number(status), errorType, retryAfter }),
  );
  const existing = Object.entries(httpErrors).map(([code, { status, errorType, retryAfterSeconds }]) => ({
    code,
    status,
    errorType,
    retryAfter: retryAfterSeconds === undefined ? "-" : `${retryAfterSeconds} s`,
  }));
  expect(documented).toEqual(existing);
});

test("what a second try can cure is 503 with Retry-After, so that no sender drops its samples", () => {
  for (const [code, { status, retryAfterSeconds }] of Object.entries(httpErrors))
    expect(retryAfterSeconds !== undefined, code).toBe(status === 503 && code !== "QUERY_TIMEOUT");
});

test("remedies are told, internal errors and foreign ones are not", () => {
  const body = (thrown: unknown) => JSON.parse(answerFor(thrown).body) as { error: string };
  expect(body(new TsdbError("BAD_REQUEST", "No", { remedy: "Say yes" })).error).toBe("No. Say yes");
  expect(body(new Error("/etc/passwd")).error).toBe(INTERNAL_MESSAGE);
  expect(body("text").error).toBe(INTERNAL_MESSAGE);
  for (const [code, { status }] of Object.entries(httpErrors))
    if (status === 500)
      expect(body(new TsdbError(code as ErrorCode, "/data/wal: EIO")).error, code).toBe(INTERNAL_MESSAGE);
});
