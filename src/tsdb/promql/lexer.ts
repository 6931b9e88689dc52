/**
 * Cuts a query into tokens, in one pass and on demand. What a character means, and how a message reads, depends on where it
 * stands: in an expression, in braces, where keywords are plain names, or in brackets. As in Prometheus, brackets have a
 * grammar of their own up to their first number; from there on they are read like an expression without names.
 *
 * White space and comments come between tokens and are dropped. The first thing that is no token is an error.
 * @see Prometheus promql/parser/lex.go
 */
import type { TsdbError } from "../../base/errors.ts";
import { codePointText, quoted, quotedCharacter } from "./parser/go-text.ts";
import { scanNumberOrDuration } from "./parser/scan-number.ts";
import { syntaxError } from "./parser/syntax-error.ts";
import { KIND_OF_WORD } from "./parser/tokens.ts";
import type { Token, TokenKind } from "./parser/tokens.ts";

const SPACE = /[ \t\n\r]*/y;
const COMMENT = /#[^\n\r]*/y;
const LETTERS_OF_DURATION = /[A-Za-z_]*/y;
const IS_ASCII = /^[ -~]*$/;
const OPEN_PAREN = /[ \t\n\r]*\(/y;

const isDigit = (c: string | undefined): boolean => c !== undefined && c >= "0" && c <= "9";

/** What names without quotes are made of; the second alphabet is that of `unquotedNames`. */
const ASCII_NAMES = { start: /[A-Za-z_]/y, label: /[A-Za-z0-9_]*/y, metric: /[A-Za-z0-9_:]*/y };
const UNICODE_NAMES = { start: /[\p{L}_]/uy, label: /[\p{L}0-9_.]*/uy, metric: /[\p{L}0-9_.:]*/uy };

/** The replacement character is what bytes that are no UTF-8 were decoded to; halves of a pair never come from UTF-8. */
const isBroken = (c: string): boolean => c === "\ufffd" || !c.isWellFormed();

const SINGLE_CHARACTERS = new Set([",", "*", "/", "%", "+", "-", "^", "@"]);
const SINGLE_CHARACTERS_OF_DURATION = new Set([",", "*", "/", "%", "+", "-", "^"]);
const WORDS_OF_DURATION = new Set(["step", "range", "max_of", "min_of"]);

/** Digits of `\x`, `\u`, `\U`; octal escapes have three. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

export interface ParserOptions {
  /** Letters of all scripts, and dots, in names without quotes: Prometheus' feature `promql-unquoted-utf8-names`. */
  readonly unquotedNames?: boolean;
}

export class Lexer {
  readonly #text: string;
  readonly #names: typeof ASCII_NAMES;
  #at = 0;
  #place: "expression" | "braces" | "bracket" = "expression";
  #parenDepth = 0;
  #bracketIsOpen = false;
  #sawColon = false;
  #sawDuration = false;

  constructor(text: string, { unquotedNames = false }: ParserOptions) {
    this.#text = text;
    this.#names = unquotedNames ? UNICODE_NAMES : ASCII_NAMES;
  }

  /** The next token; after the last one "<end>", again and again. @throws TsdbError BAD_QUERY at what is no token */
  next(): Token {
    this.#skip(SPACE);
    if (this.#place === "bracket") return this.#inBracket();
    while (this.#text[this.#at] === "#") {
      this.#skip(COMMENT);
      this.#skip(SPACE);
    }
    return this.#place === "braces" ? this.#inBraces() : this.#inExpression();
  }

  #inExpression(): Token {
    const c = this.#character(0);
    if (c === undefined) return this.#end();
    if (SINGLE_CHARACTERS.has(c)) return this.#token(c as TokenKind);
    if (isDigit(c) || (c === "." && isDigit(this.#text[this.#at + 1]))) return this.#number();
    if (c === ":" || this.#startsName) return this.#bracketIsOpen ? this.#afterNumberInBracket(c) : this.#word();
    switch (c) {
      case "=":
        if (this.#text[this.#at + 1] === "~") throw this.#error("unexpected character after '=': '~'");
        return this.#token(this.#text[this.#at + 1] === "=" ? "==" : "=");
      case "!":
        if (this.#text[this.#at + 1] === "=") return this.#token("!=");
        throw this.#error(`unexpected character after '!': ${quotedCharacter(this.#character(1))}`);
      case "<":
      case ">": {
        const second = this.#text[this.#at + 1];
        return this.#token(second === "=" || second === "/" ? `${c}${second}` : c);
      }
      case '"':
      case "'":
        return this.#string(c);
      case "`":
        return this.#rawString();
      case "(":
      case ")":
        return this.#paren(c);
      case "{":
        this.#place = "braces";
        return this.#token("{");
      case "[":
        return this.#openBracket();
      case "]":
        if (!this.#bracketIsOpen) throw this.#error("unexpected right bracket ']'");
        return this.#closeBracket();
      default:
        throw this.#error(`unexpected character: ${quotedCharacter(c)}`);
    }
  }

  #inBraces(): Token {
    const c = this.#character(0);
    if (c === undefined) throw this.#error("unexpected end of input inside braces");
    if (this.#startsName) return this.#token("<identifier>", this.#lengthOf(this.#names.label));
    switch (c) {
      case ",":
        return this.#token(",");
      case '"':
      case "'":
        return this.#string(c);
      case "`":
        return this.#rawString();
      case "=":
        return this.#token(this.#text[this.#at + 1] === "~" ? "=~" : "=");
      case "!": {
        const second = this.#character(1);
        if (second === "~" || second === "=") return this.#token(`!${second}`);
        throw this.#error(`unexpected character after '!' inside braces: ${quotedCharacter(second)}`);
      }
      case "{":
        throw this.#error("unexpected left brace '{'");
      case "}":
        this.#place = "expression";
        return this.#token("}");
      default:
        throw this.#error(`unexpected character inside braces: ${quotedCharacter(c)}`);
    }
  }

  #openBracket(): Token {
    if (this.#bracketIsOpen) throw this.#error("unexpected left bracket '['");
    this.#bracketIsOpen = true;
    this.#sawColon = false;
    this.#sawDuration = false;
    this.#place = "bracket";
    return this.#token("[");
  }

  #closeBracket(): Token {
    this.#bracketIsOpen = false;
    this.#place = "expression";
    return this.#token("]");
  }

  /** In brackets, before a number has been met. */
  #inBracket(): Token {
    const c = this.#character(0);
    if (c === undefined) throw this.#error("unexpected end of input in duration expression");
    if (SINGLE_CHARACTERS_OF_DURATION.has(c)) return this.#token(c as TokenKind);
    if (c === "]") return this.#closeBracket();
    if (c === "(" || c === ")") return this.#paren(c);
    if (c === ":") {
      // Prometheus has read the colon by now, so that is where its messages point.
      if (!this.#sawDuration) throw this.#error("unexpected colon before duration in duration expression", 1);
      if (this.#sawColon) throw this.#error("unexpected repeated colon in duration expression", 1);
      this.#sawColon = true;
      return this.#token(":");
    }
    if (isDigit(c) || (c === "." && isDigit(this.#text[this.#at + 1]))) {
      this.#sawDuration = true;
      this.#place = "expression";
      return this.#number();
    }
    const word = this.#wordOfDuration();
    if (word === undefined) throw this.#error(`unexpected character in duration expression: ${quotedCharacter(c)}`);
    this.#sawDuration = true;
    return word;
  }

  /** A letter or colon in brackets, once a number has been met. */
  #afterNumberInBracket(c: string): Token {
    if (c === ":") {
      if (this.#sawColon) throw this.#error("unexpected colon ':'");
      this.#sawColon = true;
      return this.#token(":");
    }
    const word = this.#wordOfDuration();
    if (word === undefined) throw this.#error(`unexpected character: ${quotedCharacter(c)}, expected ':'`);
    return word;
  }

  #wordOfDuration(): Token | undefined {
    const length = this.#lengthOf(LETTERS_OF_DURATION);
    const word = this.#text.slice(this.#at, this.#at + length).toLowerCase();
    return WORDS_OF_DURATION.has(word) ? this.#token(word as TokenKind, length) : undefined;
  }

  #word(): Token {
    const length = this.#lengthOf(this.#names.metric);
    const word = this.#text.slice(this.#at, this.#at + length);
    // Some letters beyond ASCII have a lower case within it: they make no keyword.
    const kind = IS_ASCII.test(word) ? KIND_OF_WORD.get(word.toLowerCase()) : undefined;
    if (kind === undefined) return this.#token(word.includes(":") ? "<metric identifier>" : "<identifier>", length);
    // These became keywords late, so they are names wherever no parenthesis follows.
    if (kind === "fill" || kind === "fill_left" || kind === "fill_right") {
      OPEN_PAREN.lastIndex = this.#at + length;
      if (!OPEN_PAREN.test(this.#text)) return this.#token("<identifier>", length);
    }
    return this.#token(kind, length);
  }

  #number(): Token {
    const { kind, end } = scanNumberOrDuration(this.#text, this.#at);
    if (kind !== undefined) return this.#token(kind, end - this.#at);
    const text = this.#text.slice(this.#at, end);
    throw this.#error(`bad number or duration syntax: ${quoted(text)}`);
  }

  #paren(c: "(" | ")"): Token {
    this.#parenDepth += c === "(" ? 1 : -1;
    if (this.#parenDepth < 0) throw this.#error("unexpected right parenthesis ')'", 1);
    return this.#token(c);
  }

  #string(quote: string): Token {
    let at = this.#at + 1;
    for (;;) {
      const c = this.#characterAt(at);
      if (c === undefined || c === "\n") throw this.#error("unterminated quoted string");
      if (isBroken(c)) throw this.#error("invalid UTF-8 rune");
      at += c.length;
      if (c === quote) return this.#token("<string>", at - this.#at);
      if (c === "\\") at = this.#escape(at, quote);
    }
  }

  /** Checks an escape. @param at of what follows the backslash @returns where it ends */
  #escape(at: number, quote: string): number {
    const c = this.#characterAt(at);
    if (c === undefined) throw this.#error("escape sequence not terminated");
    if (c === quote || "abfnrtv\\".includes(c)) return at + 1;
    const isOctal = c >= "0" && c <= "7";
    const digitCount = isOctal ? 3 : HEX_DIGITS[c];
    if (digitCount === undefined) throw this.#error(`unknown escape sequence ${codePointText(c)}`);
    const first = isOctal ? at : at + 1;
    let code = 0;
    for (let i = first; i < first + digitCount; i++) {
      const digit = this.#characterAt(i);
      if (digit === undefined) throw this.#error("escape sequence not terminated");
      if (!(isOctal ? /^[0-7]$/ : /^[0-9a-fA-F]$/).test(digit))
        throw this.#error(`illegal character ${codePointText(digit)} in escape sequence`);
      code = code * (isOctal ? 8 : 16) + Number.parseInt(digit, 16);
    }
    const max = isOctal || c === "x" ? 0xff : 0x10_ffff;
    if (code > max || (code >= 0xd800 && code < 0xe000))
      throw this.#error("escape sequence is an invalid Unicode code point");
    return first + digitCount;
  }

  #rawString(): Token {
    const end = this.#text.indexOf("`", this.#at + 1);
    const text = this.#text.slice(this.#at, end < 0 ? undefined : end + 1);
    if (isBroken(text) || text.includes("\ufffd")) throw this.#error("invalid UTF-8 rune");
    if (end < 0) throw this.#error("unterminated raw string");
    return this.#token("<string>", text.length);
  }

  #end(): Token {
    if (this.#parenDepth !== 0) throw this.#error("unclosed left parenthesis");
    if (this.#bracketIsOpen) throw this.#error("unclosed left bracket");
    return this.#token("<end>", 0);
  }

  #token(kind: TokenKind, length: number = kind.length): Token {
    const start = this.#at;
    this.#at += length;
    return { kind, text: this.#text.slice(start, this.#at), start, end: this.#at };
  }

  #skip(pattern: RegExp): void {
    this.#at += this.#lengthOf(pattern);
  }

  #lengthOf(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0].length ?? 0;
  }

  get #startsName(): boolean {
    return this.#lengthOf(this.#names.start) > 0;
  }

  #character(ahead: 0 | 1): string | undefined {
    return this.#characterAt(this.#at + ahead);
  }

  #characterAt(index: number): string | undefined {
    const code = this.#text.codePointAt(index);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  #error(message: string, ahead: 0 | 1 = 0): TsdbError {
    return syntaxError(this.#text, this.#at + ahead, message);
  }
}
