import { expect, test } from "vitest";
import { Lexer } from "../../../src/tsdb/promql/lexer.ts";

/** Kinds of the tokens, with the text of those whose kind does not give it. */
function tokens(text: string): string[] {
  const lexer = new Lexer(text, {});
  const found: string[] = [];
  for (let token = lexer.next(); token.kind !== "<end>"; token = lexer.next())
    found.push(token.kind.startsWith("<") && token.kind.endsWith(">") ? `${token.kind} ${token.text}` : token.kind);
  return found;
}

test("white space and comments separate tokens, the longest token wins", () => {
  expect(tokens("a<=b#comment\r\n<c # another\n>/d</e")).toEqual([
    "<identifier> a",
    "<=",
    "<identifier> b",
    "<",
    "<identifier> c",
    ">/",
    "<identifier> d",
    "</",
    "<identifier> e",
  ]);
  expect(tokens("#only a comment")).toEqual([]);
});

test("words are keywords whatever their case, names with a colon are metrics", () => {
  expect(tokens("SUM Sum by OFFSET atan2 a:b sums bool")).toEqual([
    "sum",
    "sum",
    "by",
    "offset",
    "atan2",
    "<metric identifier> a:b",
    "<identifier> sums",
    "bool",
  ]);
});

test("fill is a keyword only before a parenthesis", () => {
  expect(tokens("fill + fill (1) fill_left fill_right\n(2)")).toEqual([
    "<identifier> fill",
    "+",
    "fill",
    "(",
    "<number> 1",
    ")",
    "<identifier> fill_left",
    "fill_right",
    "(",
    "<number> 2",
    ")",
  ]);
});

test("in braces every word is a name", () => {
  expect(tokens('{sum="a",by!~`b`,"c d"=~\'e\'}')).toEqual([
    "{",
    "<identifier> sum",
    "=",
    '<string> "a"',
    ",",
    "<identifier> by",
    "!~",
    "<string> `b`",
    ",",
    '<string> "c d"',
    "=~",
    "<string> 'e'",
    "}",
  ]);
});

test("numbers are read in every notation, a trailing unit makes a duration", () => {
  for (const text of ["1", "1.", ".5", "1.5", "1e3", "1E-3", "0x1F", "0X_1f", "010", "1_000", "1_0.0_1", "Inf", "nAn"])
    expect(tokens(text)).toEqual([`<number> ${text}`]);
  for (const text of ["5m", "1h30m", "1y2w3d4h5m6s7ms", "1ms", "1hs"])
    expect(tokens(text)).toEqual([`<duration> ${text}`]);
});

test("after a bracket durations have a grammar of their own", () => {
  expect(tokens("a[5m:1m]b")).toEqual([
    "<identifier> a",
    "[",
    "<duration> 5m",
    ":",
    "<duration> 1m",
    "]",
    "<identifier> b",
  ]);
  expect(tokens("a[ STEP()*2 ]")).toEqual(["<identifier> a", "[", "step", "(", ")", "*", "<number> 2", "]"]);
});

test("a token knows where it stands", () => {
  const lexer = new Lexer('  "é😀" foo', {});
  expect(lexer.next()).toEqual({ kind: "<string>", text: '"é😀"', start: 2, end: 7 });
  expect(lexer.next()).toEqual({ kind: "<identifier>", text: "foo", start: 8, end: 11 });
  expect(lexer.next()).toEqual({ kind: "<end>", text: "", start: 11, end: 11 });
  expect(lexer.next().kind).toBe("<end>");
});

test("what is no token is an error with its place", () => {
  for (const [text, message] of [
    ["a ; b", "1:3: parse error: unexpected character: ';'"],
    ["a = ~b", "1:5: parse error: unexpected character: '~'"],
    ["=~", "1:1: parse error: unexpected character after '=': '~'"],
    ["!", "1:1: parse error: unexpected character after '!': '\ufffd'"],
    ["\n 1e", '2:2: parse error: bad number or duration syntax: "1e"'],
    ['"a', "1:1: parse error: unterminated quoted string"],
    ['"\\q"', "1:1: parse error: unknown escape sequence U+0071 'q'"],
    ["a)", "1:3: parse error: unexpected right parenthesis ')'"],
    ["(a", "1:3: parse error: unclosed left parenthesis"],
    ["a[[", "1:3: parse error: unexpected character in duration expression: '['"],
    ["a[:", "1:4: parse error: unexpected colon before duration in duration expression"],
    ["{a", "1:3: parse error: unexpected end of input inside braces"],
  ] as const)
    expect(() => tokens(text)).toThrow(expect.objectContaining({ message }));
});
