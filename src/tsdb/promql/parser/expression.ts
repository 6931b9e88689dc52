/**
 * Expressions, by precedence climbing: an operand with all that is attached to it, then operators as long as they bind
 * tighter than the one to the left. Calls recurse only where the text nests; chains of operators are a loop.
 * @see Prometheus promql/parser/generated_parser.y, whose order of errors this keeps
 */
import type {
  AggregateExpression,
  AggregateOperator,
  BinaryExpression,
  BinaryOperator,
  Expression,
  NumberLiteral,
  ValueType,
} from "../ast.ts";
import { typeOf } from "../ast.ts";
import { SIGNATURES } from "../functions/signatures.ts";
import { parseOffset, parsePositiveDuration } from "./duration.ts";
import { quoted } from "./go-text.ts";
import { literalValue, parseBinaryModifiers, parseLabels, parseSignedNumber } from "./grouping.ts";
import { unquote } from "./literals.ts";
import { withAt, withExtension, withOffset, withTimestamp } from "./modifiers.ts";
import { parseSelector, parseSelectorAfterName } from "./selector.ts";
import type { TokenStream } from "./token-stream.ts";
import { AGGREGATORS, isFunctionName, isMetricName, startsExpression } from "./tokens.ts";
import type { Token, TokenKind } from "./tokens.ts";

const precedences: readonly (readonly BinaryOperator[])[] = [
  ["or"],
  ["and", "unless"],
  ["==", "!=", "<", "<=", ">", ">=", "</", ">/"],
  ["+", "-"],
  ["*", "/", "%", "atan2"],
  ["^"],
];
const precedenceOf: ReadonlyMap<TokenKind, number> = new Map(
  precedences.flatMap((operators, precedence) => operators.map((operator) => [operator, precedence] as const)),
);
/** The one operator that groups from the right; signs bind looser than it and tighter than all others. */
const POWER = precedences.length - 1;

export function parseOperators(stream: TokenStream, precedenceMin = 0): Expression {
  let left = parseOperandWithAttached(stream);
  for (;;) {
    const { kind } = stream.peek();
    const precedence = precedenceOf.get(kind);
    if (precedence === undefined || precedence < precedenceMin) return left;
    stream.take();
    left = parseRightSide(stream, left, kind as BinaryOperator, precedence);
  }
}

function parseOperandWithAttached(stream: TokenStream): Expression {
  let operand = parseOperand(stream);
  for (let count = 1; ; count++) {
    const attached = parseAttached(stream, stream.peek(), operand);
    if (attached === undefined) return operand;
    stream.limitNesting(count);
    operand = attached;
  }
}

function parseRightSide(
  stream: TokenStream,
  left: Expression,
  operator: BinaryOperator,
  precedence: number,
): BinaryExpression {
  const { returnBool, matching } = parseBinaryModifiers(stream);
  const right =
    precedence === POWER ? stream.nested(() => parseOperators(stream, POWER)) : parseOperators(stream, precedence + 1);
  const type: ValueType = typeOf(left) === "scalar" && typeOf(right) === "scalar" ? "scalar" : "vector";
  const position = { start: left.position.start, end: right.position.end };
  return { kind: "binary", type, operator, left, right, returnBool, matching, position };
}

function parseOperand(stream: TokenStream): Expression {
  const token = stream.peek();
  switch (token.kind) {
    case "<number>":
    case "<duration>":
      return numberOf(stream, stream.take());
    case "<string>":
      stream.take();
      return { kind: "string", value: unquote(token.text), position: { start: token.start, end: token.end } };
    case "(":
      return parseParen(stream);
    case "+":
    case "-":
      return parseSigned(stream);
    case "{":
      return parseSelector(stream);
    default:
      if (!isMetricName(token)) throw stream.unexpected();
      return parseNamed(stream, stream.take());
  }
}

function numberOf(stream: TokenStream, token: Token): NumberLiteral {
  const position = { start: token.start, end: token.end };
  return { kind: "number", value: literalValue(stream, token), isDuration: token.kind === "<duration>", position };
}

function parseParen(stream: TokenStream): Expression {
  const { start } = stream.take();
  const expression = stream.nested(() => parseOperators(stream));
  stream.expect(")");
  return { kind: "paren", type: typeOf(expression), expression, position: { start, end: stream.lastEnd } };
}

/** A sign is part of a number literal. */
function parseSigned(stream: TokenStream): Expression {
  const { kind, start } = stream.take();
  const expression = stream.nested(() => parseOperators(stream, POWER));
  const position = { start, end: expression.position.end };
  if (expression.kind === "number")
    return { ...expression, value: kind === "-" ? -expression.value : expression.value, position };
  return { kind: "unary", type: typeOf(expression), operator: kind as "+" | "-", expression, position };
}

/** What a word begins: a call, an aggregation or a selector, which the next token tells. */
function parseNamed(stream: TokenStream, name: Token): Expression {
  const next = stream.peek().kind;
  if (next === "(" && isFunctionName(name)) return parseCall(stream, name);
  if (AGGREGATORS.has(name.kind) && (next === "(" || next === "by" || next === "without"))
    return parseAggregation(stream, name);
  return parseSelectorAfterName(stream, name);
}

function parseCall(stream: TokenStream, { text: name, start }: Token): Expression {
  const given = parseArguments(stream);
  const signature = SIGNATURES.get(name);
  if (signature === undefined) throw stream.error(start, `unknown function with name ${quoted(name)}`);
  const position = { start, end: stream.lastEnd };
  return { kind: "call", type: signature.returns, name, arguments: given, position };
}

function parseArguments(stream: TokenStream): Expression[] {
  stream.expect("(");
  const given: Expression[] = [];
  if (stream.takeIf(")")) return given;
  for (;;) {
    given.push(stream.nested(() => parseOperators(stream)));
    const comma = stream.takeIf(",");
    if (comma === undefined) break;
    if (!startsExpression(stream.peek()))
      throw stream.error(comma.start, "trailing commas not allowed in function call args");
  }
  stream.expect(")");
  return given;
}

const WITH_PARAMETER: ReadonlySet<AggregateOperator> = new Set([
  "topk",
  "bottomk",
  "count_values",
  "quantile",
  "limitk",
  "limit_ratio",
]);

interface Grouping {
  readonly grouping: readonly string[];
  readonly without: boolean;
}

/** The grouping stands before or after the arguments. */
function parseAggregation(stream: TokenStream, { kind, start }: Token): AggregateExpression {
  const operator = kind as AggregateOperator;
  const { before, given } = stream.within(" in aggregation", () => ({
    before: parseGrouping(stream),
    given: parseArguments(stream),
  }));
  const { grouping, without } = before ?? parseGrouping(stream) ?? { grouping: [], without: false };
  if (given.length === 0) throw stream.error(start, "no arguments for aggregate expression provided");
  const expected = WITH_PARAMETER.has(operator) ? 2 : 1;
  if (given.length !== expected)
    throw stream.error(
      start,
      `wrong number of arguments for aggregate expression provided, expected ${expected}, got ${given.length}`,
    );
  return {
    kind: "aggregate",
    operator,
    expression: given[expected - 1]!,
    parameter: expected === 2 ? given[0] : undefined,
    grouping,
    without,
    position: { start, end: stream.lastEnd },
  };
}

function parseGrouping(stream: TokenStream): Grouping | undefined {
  const word = stream.takeIf("by") ?? stream.takeIf("without");
  return word && { grouping: parseLabels(stream), without: word.kind === "without" };
}

/** A range or modifier after an operand; undefined when the token begins none. */
function parseAttached(stream: TokenStream, token: Token, expression: Expression): Expression | undefined {
  switch (token.kind) {
    case "[":
      return parseRange(stream, expression);
    case "offset": {
      stream.take();
      const construct = " in offset, expected number, duration, step(), or range()";
      return withOffset(
        stream,
        expression,
        stream.within(construct, () => parseOffset(stream)),
      );
    }
    case "@":
      stream.take();
      return stream.within(" in @, expected timestamp", () => parseAt(stream, expression));
    case "anchored":
    case "smoothed":
      stream.take();
      return withExtension(stream, expression, token.kind);
    default:
      return undefined;
  }
}

function parseAt(stream: TokenStream, expression: Expression): Expression {
  const { kind } = stream.peek();
  if (kind !== "start" && kind !== "end") return withTimestamp(stream, expression, parseSignedNumber(stream));
  stream.take();
  stream.expect("(");
  stream.expect(")");
  return withAt(stream, expression, kind);
}

/** `[5m]` of a selector, `[1h:5m]` of any vector. */
function parseRange(stream: TokenStream, expression: Expression): Expression {
  const bracket = stream.take();
  const range = stream.within(" in subquery or range selector, expected number, duration, step(), or range()", () =>
    parsePositiveDuration(stream),
  );
  const { start } = expression.position;
  if (stream.takeIf(":")) {
    const step = parseStep(stream);
    const position = { start, end: stream.lastEnd };
    return { kind: "subquery", expression, range, step, offset: undefined, at: undefined, position };
  }
  if (stream.takeIf("]") === undefined) throw stream.unexpected(' in subquery or range, expected ":" or "]"');
  if (expression.kind !== "vector-selector")
    throw stream.error(bracket.start, "ranges only allowed for vector selectors");
  if (expression.offset !== undefined) throw stream.error(bracket.start, "no offset modifiers allowed before range");
  if (expression.at !== undefined) throw stream.error(bracket.start, "no @ modifiers allowed before range");
  return { kind: "matrix-selector", selector: expression, range, position: { start, end: stream.lastEnd } };
}

function parseStep(stream: TokenStream) {
  if (stream.takeIf("]")) return undefined;
  const step = stream.within(' in subquery selector, expected number, duration, step(), range(), or "]"', () =>
    parsePositiveDuration(stream),
  );
  if (stream.takeIf("]") === undefined) throw stream.unexpected(' in subquery selector, expected "]"');
  return step;
}
