/**
 * Request parameters and their values as Prometheus' API reads them (web/api/v1/api.go: parseTime, parseDuration,
 * parseLimitParam), down to the words of the refusals: clients show them to people, and some match on them.
 *
 * Times are whole ms since the epoch, durations ms. Prometheus' own times reach beyond what a number can hold exactly;
 * here they end at +-(2^53 - 1) ms, in the year 287396.
 */
import { TsdbError } from "../../base/errors.ts";

export const TIME_MIN_MS = Number.MIN_SAFE_INTEGER;
export const TIME_MAX_MS = Number.MAX_SAFE_INTEGER;

/** Parameters of one request: the form body first, then the query string; a name may repeat. */
export class RequestParameters {
  readonly #sources: readonly URLSearchParams[];

  /** @param form body of a form POST, undefined for GET */
  constructor(url: string, form: string | undefined) {
    const mark = url.indexOf("?");
    const fromUrl = new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
    this.#sources = form === undefined || form === "" ? [fromUrl] : [new URLSearchParams(form), fromUrl];
  }

  /** The first value, "" when there is none: the API treats an empty parameter as an absent one. */
  value(name: string): string {
    for (const source of this.#sources) {
      const value = source.get(name);
      if (value !== null) return value;
    }
    return "";
  }

  values(name: string): readonly string[] {
    return this.#sources.flatMap((source) => source.getAll(name));
  }

  /** A time that must be given. */
  time(name: string): number {
    return invalidWhenThrown(name, () => parseTime(this.value(name)));
  }

  timeOr(name: string, defaultMs: number): number {
    const text = this.value(name);
    if (text === "") return defaultMs;
    return invalidWhenThrown(name, () => {
      try {
        return parseTime(text);
      } catch (error) {
        throw new BadValue(`invalid time value for '${name}': ${(error as BadValue).message}`);
      }
    });
  }

  /** A duration in ms that must be given. */
  duration(name: string): number {
    return invalidWhenThrown(name, () => parseDuration(this.value(name)));
  }

  /** The `limit` parameter; 0 means none. */
  limit(): number {
    return invalidWhenThrown("limit", () => parseLimit(this.value("limit")));
  }

  /** The `timeout` parameter in ms, at most `maxMs`, which is also the default. */
  timeout(maxMs: number): number {
    const text = this.value("timeout");
    if (text === "") return maxMs;
    return invalidWhenThrown("timeout", () => {
      const timeoutMs = parseDuration(text);
      if (timeoutMs <= 0) throw new BadValue(`timeout must be positive, got ${formatGoDuration(timeoutMs)}`);
      return Math.min(timeoutMs, maxMs);
    });
  }

  /** The `lookback_delta` parameter in ms; undefined when it is absent or zero, which mean the default. */
  lookbackDelta(): number | undefined {
    const text = this.value("lookback_delta");
    if (text === "") return undefined;
    try {
      return Math.trunc(parseDuration(text)) || undefined;
    } catch (error) {
      throw badRequest(`error parsing lookback delta duration: ${(error as BadValue).message}`);
    }
  }
}

export const badRequest = (message: string): TsdbError => new TsdbError("BAD_REQUEST", message);

export const invalidParameter = (name: string, message: string): TsdbError =>
  badRequest(`invalid parameter ${goQuote(name)}: ${message}`);

/** A value that does not parse; becomes a TsdbError once the parameter's name is known. */
export class BadValue extends Error {}

function invalidWhenThrown<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof BadValue) throw invalidParameter(name, error.message);
    throw error;
  }
}

const FLOAT = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * Seconds since the epoch, with fraction, or RFC 3339.
 * @returns whole ms, rounded as Prometheus does
 */
export function parseTime(text: string): number {
  if (FLOAT.test(text)) return secondsToMs(Number(text));
  const parts = RFC3339.exec(text);
  const ms = parts === null ? undefined : rfc3339ToMs(parts);
  if (ms === undefined) throw new BadValue(`cannot parse ${goQuote(text)} to a valid timestamp`);
  return ms;
}

/** Follows Go's steps one by one (split, round to ms, to whole ns, back to ms): doing it in one gives 1 ms less at times. */
function secondsToMs(seconds: number): number {
  let whole = Math.trunc(seconds);
  let nanoseconds = Math.trunc((goRound((seconds - whole) * 1000) / 1000) * 1e9);
  if (nanoseconds < 0) {
    whole -= 1;
    nanoseconds += 1e9;
  }
  return clampTime(whole * 1000 + Math.floor(nanoseconds / 1e6));
}

/** Go rounds halves away from zero, JavaScript up. */
const goRound = (x: number): number => Math.sign(x) * Math.round(Math.abs(x));

const clampTime = (ms: number): number => Math.min(Math.max(ms, TIME_MIN_MS), TIME_MAX_MS);

function rfc3339ToMs(parts: RegExpExecArray): number | undefined {
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // A day, hour or minute out of range rolled over into the next.
  const isReal =
    date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  if (!isReal) return undefined;
  const fractionMs = Number((parts[7] ?? "").slice(0, 3).padEnd(3, "0"));
  return date.getTime() + fractionMs - zoneOffsetMs(parts[8]!);
}

function zoneOffsetMs(zone: string): number {
  if (zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}

const UNITS = ["y", "w", "d", "h", "m", "s", "ms"] as const;
const UNIT_MS = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1];
const DURATION = new RegExp(`^${UNITS.map((unit) => `(?:(\\d+)${unit})?`).join("")}$`);
const DURATION_NS_MAX = 2 ** 63;

/**
 * Seconds, with fraction, or PromQL's duration such as 1h30m.
 * @returns ms, with a fraction where seconds were given in more detail
 */
export function parseDuration(text: string): number {
  if (FLOAT.test(text)) {
    const nanoseconds = Number(text) * 1e9;
    if (Math.abs(nanoseconds) >= DURATION_NS_MAX)
      throw new BadValue(`cannot parse ${goQuote(text)} to a valid duration. It overflows int64`);
    return Math.trunc(nanoseconds) / 1e6;
  }
  const parts = text === "" ? null : DURATION.exec(text);
  const ms = parts?.slice(1).reduce((sum, digits, i) => sum + Number(digits ?? 0) * UNIT_MS[i]!, 0);
  if (ms === undefined || ms * 1e6 >= DURATION_NS_MAX)
    throw new BadValue(`cannot parse ${goQuote(text)} to a valid duration`);
  return ms;
}

/** A count; "" and 0 mean no limit. */
export function parseLimit(text: string): number {
  if (text === "") return 0;
  if (!/^[+-]?\d+$/.test(text)) throw new BadValue(`strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`);
  const limit = Number(text);
  if (Math.abs(limit) >= DURATION_NS_MAX)
    throw new BadValue(`strconv.Atoi: parsing ${goQuote(text)}: value out of range`);
  if (limit < 0) throw new BadValue("limit must be non-negative");
  return limit;
}

/** Of Go's escapes these are the ones that JSON shares. */
export const goQuote = (text: string): string => JSON.stringify(text);

/** As Go prints a time.Duration of whole ms: 1.5s, -1m30s, 0s. */
export function formatGoDuration(ms: number): string {
  const sign = ms < 0 ? "-" : "";
  const rest = Math.abs(ms);
  if (rest > 0 && rest < 1000) return `${sign}${rest}ms`;
  const hours = Math.floor(rest / 3_600_000);
  const minutes = Math.floor((rest % 3_600_000) / 60_000);
  const seconds = `${(rest % 60_000) / 1000}s`;
  return sign + (hours > 0 ? `${hours}h${minutes}m${seconds}` : minutes > 0 ? `${minutes}m${seconds}` : seconds);
}

/**
 * A label name as it stands in a path. Names that are no plain identifiers arrive as `U__`, each odd character as its
 * code point in hex between underscores, each underscore doubled.
 * @returns the name as it was given when it is not a well-formed escape
 * @see prometheus/common model.UnescapeName, ValueEncodingEscaping
 */
export function unescapeLabelName(name: string): string {
  if (!name.startsWith("U__")) return name;
  let isWellFormed = true;
  const plain = name.slice(3).replace(/__|_([0-9a-fA-F]{0,6})_|_/g, (escape, hex: string | undefined) => {
    if (escape === "__") return "_";
    const codePoint = Number.parseInt(hex ?? "", 16);
    const isValid = codePoint <= 0x10ffff && !(codePoint >= 0xd800 && codePoint <= 0xdfff);
    isWellFormed &&= isValid;
    return isValid ? String.fromCodePoint(codePoint) : "";
  });
  return isWellFormed ? plain : name;
}
