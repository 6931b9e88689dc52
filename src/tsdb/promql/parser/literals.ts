/** The values of literals, read as Go reads them. */
import { isUtf8 } from "node:buffer";
import { DURATION_MS_MAX, parseDurationMs } from "../../../base/duration.ts";
import { quoted } from "./go-text.ts";

/** A value, or why there is none. */
export type Literal = { readonly value: number } | { readonly problem: string };

/**
 * Decimal, hexadecimal (0x1f) and, with a leading zero, octal integers, underscores between digits, floats, Inf, NaN.
 * Octal and hexadecimal digits beyond 64 bits are read as a decimal number, as strconv.ParseFloat does after ParseInt.
 */
export function parseNumber(text: string): Literal {
  const lower = text.toLowerCase();
  if (lower === "inf") return { value: Infinity };
  if (lower === "nan") return { value: NaN };
  const digits = lower.replaceAll("_", "");
  if (digits === lower || underscoresSeparateDigits(lower)) {
    const integer = parseInteger(digits);
    if (integer !== undefined) return { value: integer };
    if (/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(digits)) {
      const value = Number(digits);
      if (value !== Infinity) return { value };
      return { problem: `error parsing number: strconv.ParseFloat: parsing ${quoted(text)}: value out of range` };
    }
  }
  return { problem: `error parsing number: strconv.ParseFloat: parsing ${quoted(text)}: invalid syntax` };
}

const INTEGER_MAX = 2n ** 63n - 1n;

function parseInteger(digits: string): number | undefined {
  const isOctal = /^0[0-7]*$/.test(digits);
  if (!isOctal && !/^(?:0x[0-9a-f]+|[1-9]\d*)$/.test(digits)) return undefined;
  const integer = BigInt(isOctal ? `0o0${digits}` : digits);
  return integer <= INTEGER_MAX ? Number(integer) : undefined;
}

/** Between digits, or between the prefix 0x and a digit. */
const underscoresSeparateDigits = (text: string): boolean =>
  text.startsWith("0x") ? !/_(?![0-9a-f])/.test(text) : !/_(?!\d)|(?<!\d)_/.test(text);

/** Seconds of `1h30m`. */
export function parseDurationSeconds(text: string): Literal {
  const ms = parseDurationMs(text);
  if (ms === undefined) return { problem: problemOfDuration(text) };
  // Whole seconds and the rest are converted apart, as time.Duration.Seconds does: the last bit may depend on it.
  return { value: Math.floor(ms / 1000) + ((ms % 1000) * 1e6) / 1e9 };
}

const UNITS_LARGEST_FIRST = ["y", "w", "d", "h", "m", "s", "ms"];

function problemOfDuration(text: string): string {
  const invalid = `not a valid duration string: ${quoted(text)}`;
  if (!/^\d/.test(text)) return invalid;
  let lastRank = -1;
  let sumMs = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)(\D+)/g)) {
    if (BigInt(digits!) >= 2n ** 64n) return invalid;
    const rank = UNITS_LARGEST_FIRST.indexOf(unit!);
    if (rank < 0) return `unknown unit ${quoted(unit!)} in duration ${quoted(text)}`;
    if (rank <= lastRank) return invalid;
    lastRank = rank;
    sumMs += parseDurationMs(digits! + unit!) ?? Infinity;
    if (sumMs > DURATION_MS_MAX) return "duration out of range";
  }
  return invalid;
}

/**
 * The text that a string literal stands for. The lexer has checked its escapes. Those that name single bytes may spell out
 * UTF-8; a byte that is none becomes the lone surrogate U+DC00 + byte, which equals nothing that was ever stored.
 */
export function unquote(literal: string): string {
  const inside = literal.slice(1, -1);
  if (literal.startsWith("`") || !inside.includes("\\")) return inside;
  return NAMES_BYTES.test(inside) ? unescapeBytes(inside) : inside.replace(ESCAPE, unescape);
}

const ESCAPE = /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[^])/g;
/** An escape of a byte that is not ASCII. */
const NAMES_BYTES = /\\(?:x[89a-fA-F]|[23])/;

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function unescape(escape: string): string {
  const kind = escape[1]!;
  if (/[0-7]/.test(kind)) return String.fromCharCode(Number.parseInt(escape.slice(1), 8));
  if (/[xuU]/.test(kind)) return String.fromCodePoint(Number.parseInt(escape.slice(2), 16));
  return SHORT_ESCAPES[kind] ?? kind;
}

function unescapeBytes(inside: string): string {
  const parts: Buffer[] = [];
  let at = 0;
  for (const match of inside.matchAll(ESCAPE)) {
    const isByte = /[x0-7]/.test(match[0][1]!);
    parts.push(Buffer.from(inside.slice(at, match.index)), Buffer.from(unescape(match[0]), isByte ? "latin1" : "utf8"));
    at = match.index + match[0].length;
  }
  parts.push(Buffer.from(inside.slice(at)));
  const bytes = Buffer.concat(parts);
  return isUtf8(bytes) ? bytes.toString() : withBrokenBytes(bytes);
}

function withBrokenBytes(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const character = bytes.subarray(at, at + length);
    const isWhole = isUtf8(character);
    text += isWhole ? character.toString() : String.fromCharCode(0xdc00 + lead);
    at += isWhole ? character.length : 1;
  }
  return text;
}
