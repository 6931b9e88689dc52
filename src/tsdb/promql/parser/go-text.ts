/** Text as Go's fmt and strconv quote it, because messages and printed queries have to equal Prometheus'. */

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** Letters, marks, numbers, punctuation, symbols and the ASCII space, as Go's unicode.IsPrint. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const PLAIN = /^[ !#-[\]-~]*$/;

/** As `%q` of a string: in double quotes, what is not printable escaped. */
export function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  let escaped = "";
  for (const character of text) escaped += escape(character, '"');
  return `"${escaped}"`;
}

/** As `%q` of one character: in single quotes. The end of the text (undefined) is no character and shows as U+FFFD. */
export const quotedCharacter = (character: string | undefined): string => `'${escape(character ?? "\ufffd", "'")}'`;

/** As `%#U`: U+0078 'x'. */
export function codePointText(character: string): string {
  const hex = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return PRINTABLE.test(character) ? `U+${hex} '${character}'` : `U+${hex}`;
}

function escape(character: string, quote: string): string {
  if (character === quote || character === "\\") return `\\${character}`;
  if (PRINTABLE.test(character)) return character;
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${hexOf(code, 2)}`;
  // A byte that is no UTF-8: unquote (literals.ts) keeps it so.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hexOf(code - 0xdc00, 2)}`;
  return code < 0x10000 ? `\\u${hexOf(code, 4)}` : `\\U${hexOf(code, 8)}`;
}

const hexOf = (code: number, digits: number): string => code.toString(16).padStart(digits, "0");
