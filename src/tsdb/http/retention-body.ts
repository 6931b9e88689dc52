/**
 * The body of POST /api/v1/admin/retention: `{"retention": "60d", "retention_size": "50GB", "retention_percent": 80}`, any of
 * them; null takes back what was set before. A form with the same names will do as well.
 */
import { didYouMean } from "../../base/did-you-mean.ts";
import { formatDurationMs, parseDurationMs } from "../../base/duration.ts";
import { messageOf, type TsdbError } from "../../base/errors.ts";
import { formatSizeBytes, parseSizeBytes } from "../../base/size.ts";
import type { RetentionKey } from "../db/retention-policy.ts";
import { badRequest, type RequestParameters } from "./params.ts";

interface Field {
  readonly key: RetentionKey;
  /** As in the configuration file, and under storage there. */
  readonly name: string;
  readonly expected: string;
  readonly parse: (text: string) => number | undefined;
  readonly format: (value: number) => string | number;
}

const CENTURY_MS = 36_525 * 86_400_000;
const within = (value: number | undefined, min: number, max: number): number | undefined =>
  value !== undefined && value >= min && value <= max ? value : undefined;

export const retentionFields: readonly Field[] = [
  {
    key: "ageMs",
    name: "retention",
    expected: "a duration from 1ms to 100y, such as 30d or 720h",
    parse: (text) => within(parseDurationMs(text), 1, CENTURY_MS),
    format: formatDurationMs,
  },
  {
    key: "sizeBytesMax",
    name: "retention_size",
    expected: "a size such as 50GB, or 0 for no limit",
    parse: (text) => parseSizeBytes(text),
    format: formatSizeBytes,
  },
  {
    key: "volumePercentMax",
    name: "retention_percent",
    expected: "a whole number from 0, which is no limit, to 100",
    parse: (text) => (/^\d{1,3}$/.test(text) ? within(Number(text), 0, 100) : undefined),
    format: (value) => value,
  },
];

const names = retentionFields.map(({ name }) => name);
const EXAMPLE = 'Send JSON such as {"retention": "60d"}';

/** @throws TsdbError BAD_REQUEST */
export function retentionChangeOf(
  body: string | undefined,
  params: RequestParameters,
): Partial<Record<RetentionKey, number | null>> {
  const change: Partial<Record<RetentionKey, number | null>> = {};
  const given = body?.trimStart().startsWith("{") ? ofJson(body) : ofForm(params);
  for (const [name, value] of given) {
    const field = retentionFields.find((candidate) => candidate.name === name);
    if (field === undefined) throw unknownName(name);
    if (value === null) {
      change[field.key] = null;
      continue;
    }
    const isScalar = typeof value === "string" || typeof value === "number";
    const parsed = isScalar ? field.parse(String(value)) : undefined;
    if (parsed === undefined) throw badRequest(`${name} is ${JSON.stringify(value)}: expected ${field.expected}`);
    change[field.key] = parsed;
  }
  if (Object.keys(change).length === 0) throw badRequest(`Nothing to set. ${EXAMPLE}`);
  return change;
}

function ofJson(body: string): [string, unknown][] {
  try {
    return Object.entries(JSON.parse(body) as object);
  } catch (thrown) {
    throw badRequest(`The body is not valid JSON: ${messageOf(thrown)}. ${EXAMPLE}`);
  }
}

const ofForm = (params: RequestParameters): [string, unknown][] =>
  names.flatMap((name): [string, unknown][] => {
    const value = params.value(name);
    return value === "" ? [] : [[name, value]];
  });

function unknownName(name: string): TsdbError {
  const guess = didYouMean(name, names);
  const hint = guess === undefined ? "." : `; did you mean "${guess}"?`;
  return badRequest(`There is no setting ${JSON.stringify(name)} here${hint} Allowed: ${names.join(", ")}`);
}
