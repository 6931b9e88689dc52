/** Lists of labels, and what stands between a binary operator and its right side: bool, on, ignoring, group_left, fill. */
import type { VectorMatching } from "../ast.ts";
import { quoted } from "./go-text.ts";
import { parseDurationSeconds, parseNumber, unquote } from "./literals.ts";
import type { TokenStream } from "./token-stream.ts";
import { isLabelName, startsExpression } from "./tokens.ts";
import type { Token } from "./tokens.ts";

/** `(a, "b.c", d)` after by, without, on, ignoring, group_left and group_right. */
export function parseLabels(stream: TokenStream): string[] {
  if (stream.takeIf("(") === undefined) throw stream.unexpected(' in grouping opts, expected "("');
  const labels: string[] = [];
  while (stream.takeIf(")") === undefined) {
    labels.push(parseLabel(stream));
    if (stream.takeIf(",") === undefined && stream.peek().kind !== ")")
      throw stream.unexpected(' in grouping opts, expected "," or ")"');
  }
  return labels;
}

function parseLabel(stream: TokenStream): string {
  const token = stream.peek();
  if (token.kind !== "<string>" && !isLabelName(token)) throw stream.unexpected(" in grouping opts, expected label");
  stream.take();
  const name = token.kind === "<string>" ? unquote(token.text) : token.text;
  // Colons have slipped through since long before names could be quoted.
  const hasColon = token.kind === "<metric identifier>" && stream.options.unquotedNames === true;
  if (name === "" || !name.isWellFormed() || hasColon)
    throw stream.error(token.start, `invalid label name for grouping: ${quoted(name)}`);
  return name;
}

export interface BinaryModifiers {
  readonly returnBool: boolean;
  readonly matching: VectorMatching;
}

export function parseBinaryModifiers(stream: TokenStream): BinaryModifiers {
  const returnBool = stream.takeIf("bool") !== undefined;
  const by = stream.takeIf("on") ?? stream.takeIf("ignoring");
  const labels = by === undefined ? [] : parseLabels(stream);
  const group = by === undefined ? undefined : (stream.takeIf("group_left") ?? stream.takeIf("group_right"));
  const matching: VectorMatching = {
    card: group === undefined ? "one-to-one" : group.kind === "group_left" ? "many-to-one" : "one-to-many",
    on: by?.kind === "on",
    labels,
    include: group === undefined ? [] : parseIncluded(stream),
    ...parseFills(stream),
  };
  return { returnBool, matching };
}

/** The list may be left out; a parenthesis is always taken for its beginning. */
function parseIncluded(stream: TokenStream): string[] {
  const next = stream.peek();
  return next.kind !== "(" && startsExpression(next) ? [] : parseLabels(stream);
}

function parseFills(stream: TokenStream): Pick<VectorMatching, "fillLeft" | "fillRight"> {
  if (stream.takeIf("fill")) {
    const value = parseFillValue(stream);
    return { fillLeft: value, fillRight: value };
  }
  let fillLeft = stream.takeIf("fill_left") && parseFillValue(stream);
  const fillRight = stream.takeIf("fill_right") && parseFillValue(stream);
  if (fillRight !== undefined && fillLeft === undefined)
    fillLeft = stream.takeIf("fill_left") && parseFillValue(stream);
  return { fillLeft, fillRight };
}

function parseFillValue(stream: TokenStream): number {
  stream.expect("(");
  const value = parseSignedNumber(stream);
  stream.expect(")");
  return value;
}

/** A number or duration with or without a sign. */
export function parseSignedNumber(stream: TokenStream): number {
  const sign = stream.takeIf("-") ?? stream.takeIf("+");
  const { kind } = stream.peek();
  if (kind !== "<number>" && kind !== "<duration>") throw stream.unexpected();
  const value = literalValue(stream, stream.take());
  return sign?.kind === "-" ? -value : value;
}

/** The value of a number, or of a duration in seconds. */
export function literalValue(stream: TokenStream, { kind, text, start }: Token): number {
  const literal = kind === "<duration>" ? parseDurationSeconds(text) : parseNumber(text);
  if ("problem" in literal) throw stream.error(start, literal.problem);
  return literal.value;
}
