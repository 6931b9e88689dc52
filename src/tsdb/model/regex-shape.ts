/**
 * Shapes of regular expressions that comparing strings can answer: alternatives without metacharacters (`a|b`, `(a|b)`),
 * and literal pieces with wildcards between them (`api-.*-[0-9]+` is none, `api-.*\.example\.com` is one). A pattern that is
 * not surely of such a shape has none: then re2js answers, and decides whether the pattern is valid at all.
 */
export type RegexShape =
  | { readonly kind: "literals"; readonly literals: readonly string[] }
  | {
      /** pieces[0] gap pieces[1] gap ... */
      readonly kind: "wildcards";
      readonly pieces: readonly string[];
      /** Code units that each wildcard takes at least: `.*` none, `.+` one. */
      readonly gaps: readonly number[];
    };

const META = /[\\.+*?()|[\]{}^$]/;
/** RE2: a backslash before ASCII that is neither letter nor digit makes it stand for itself. */
const ESCAPABLE = /[ -/:-@[-`{-~]/;

export function shapeOf(pattern: string): RegexShape | undefined {
  if (!META.test(pattern)) return { kind: "literals", literals: [pattern] };
  const bare = withoutAnchorsAndGroup(pattern);
  const alternatives = bare.split("|").map(piecesOf);
  if (alternatives.length === 1) {
    const [only] = alternatives;
    if (only === undefined) return undefined;
    return only.gaps.length === 0 ? { kind: "literals", literals: only.pieces } : { kind: "wildcards", ...only };
  }
  const literals = alternatives.map((pieces) => (pieces?.gaps.length === 0 ? pieces.pieces[0] : undefined));
  return literals.every((literal) => literal !== undefined) ? { kind: "literals", literals } : undefined;
}

/** `^(?:...)$` says what is true of every pattern here, if the parentheses are the only ones. */
function withoutAnchorsAndGroup(pattern: string): string {
  const inner = /^\^?\((?:\?:)?((?:[^()\\]|\\.)*)\)\$?$/s.exec(pattern)?.[1];
  if (inner !== undefined) return inner;
  return pattern.includes("|") ? pattern : pattern.replace(/^\^/, "").replace(/(?<!\\)\$$/, "");
}

interface Pieces {
  readonly pieces: string[];
  readonly gaps: number[];
}

/** Literal pieces around `.*` and `.+`; undefined when there is anything else. */
function piecesOf(pattern: string): Pieces | undefined {
  const pieces = [""];
  const gaps: number[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]!;
    const next = pattern[i + 1];
    if (c === "." && (next === "*" || next === "+")) {
      // A further sign would make it lazy or wrong.
      if (/[*+?{]/.test(pattern[i + 2] ?? "")) return undefined;
      // Two in a row count characters, and a character may be two code units.
      if (gaps.length > 0 && pieces.at(-1) === "") return undefined;
      gaps.push(next === "+" ? 1 : 0);
      pieces.push("");
      i++;
      continue;
    }
    const isEscape = c === "\\" && next !== undefined && ESCAPABLE.test(next);
    if (META.test(c) && !isEscape) return undefined;
    pieces[pieces.length - 1] += isEscape ? next : c;
    if (isEscape) i++;
  }
  return { pieces, gaps };
}

/** What every matching value begins and ends with, to save most values the slow test. */
export function requiredEnds(pattern: string): { readonly prefix: string; readonly suffix: string } {
  // Alternatives, flags and quoted stretches change what the characters at the ends mean.
  if (/\||\(\?|\\Q/.test(pattern)) return { prefix: "", suffix: "" };
  const [, prefix = "", repeat] = /^\^?([^\\.+*?()|[\]{}^$]*)([+*?{]?)/.exec(pattern)!;
  // After a backslash, the first characters belong to the escape.
  const [, backslash, suffix = ""] = /(\\?)([^\\.+*?()|[\]{}^$]*)\$?$/.exec(pattern)!;
  return { prefix: repeat === "" ? prefix : withoutLast(prefix), suffix: backslash === "" ? suffix : "" };
}

const withoutLast = (text: string): string => Array.from(text).slice(0, -1).join("");
