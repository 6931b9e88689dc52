/**
 * Durations in brackets and after offset: literals, arithmetic, and the query's step() and range(). After offset only what
 * begins with a parenthesis may go on with an operator: `a offset 5m - b` subtracts b.
 */
import type { Duration, NumberLiteral } from "../ast.ts";
import { literalValue } from "./grouping.ts";
import type { TokenStream } from "./token-stream.ts";
import type { Token } from "./tokens.ts";

type DurationOperator = "+" | "-" | "*" | "/" | "%" | "^";

const precedenceOf: Readonly<Partial<Record<Token["kind"], number>>> = {
  "+": 1,
  "-": 1,
  "*": 2,
  "/": 2,
  "%": 2,
  "^": 3,
};
const POWER = 3;

/** What Prometheus can hold, in seconds: 2^63 nanoseconds. */
const SECONDS_MAX = 2 ** 63 / 1e9;

/** A range or step in brackets. */
export function parsePositiveDuration(stream: TokenStream): Duration {
  const duration = parseDuration(stream, 0);
  if (duration.kind === "number" && duration.value <= 0)
    throw stream.error(duration.position.start, "duration must be greater than 0");
  return duration;
}

export function parseOffset(stream: TokenStream): Duration {
  const first = stream.peek();
  if (first.kind === "(") return parseDuration(stream, 0);
  if (first.kind !== "+" && first.kind !== "-") return parseOperand(stream);
  stream.take();
  const { kind } = stream.peek();
  // Here Prometheus has read sign and number as one, so that is where its message points.
  if (kind === "<number>" || kind === "<duration>") return signed(first, parseLiteral(stream, first.start));
  if (kind !== "+" && kind !== "-") return signed(first, parseOperand(stream));
  return parseChain(
    stream,
    signed(
      first,
      stream.nested(() => parseDuration(stream, POWER)),
    ),
    0,
  );
}

const parseDuration = (stream: TokenStream, precedenceMin: number): Duration =>
  parseChain(stream, parseOperand(stream), precedenceMin);

/** Operators of at least that precedence, and their right sides. */
function parseChain(stream: TokenStream, first: Duration, precedenceMin: number): Duration {
  let left = first;
  for (let count = 1; ; count++) {
    const operator = stream.peek();
    const precedence = precedenceOf[operator.kind];
    if (precedence === undefined || precedence < precedenceMin) return left;
    stream.take();
    stream.limitNesting(count);
    const right =
      precedence === POWER ? stream.nested(() => parseDuration(stream, POWER)) : parseDuration(stream, precedence + 1);
    if (right.kind === "number" && right.value === 0) {
      if (operator.kind === "/") throw stream.error(operator.start, "division by zero");
      if (operator.kind === "%") throw stream.error(operator.start, "modulo by zero");
    }
    const position = { start: left.position.start, end: right.position.end };
    left = { kind: "duration-binary", operator: operator.kind as DurationOperator, left, right, position };
  }
}

function parseOperand(stream: TokenStream): Duration {
  const token = stream.peek();
  switch (token.kind) {
    case "<number>":
    case "<duration>":
      return parseLiteral(stream);
    case "+":
    case "-":
      stream.take();
      return signed(
        token,
        stream.nested(() => parseDuration(stream, POWER)),
      );
    case "(":
      return parseParen(stream);
    case "step":
    case "range":
      stream.take();
      stream.expect("(");
      stream.expect(")");
      return { kind: "duration-of-query", what: token.kind, position: { start: token.start, end: stream.lastEnd } };
    case "min_of":
    case "max_of": {
      stream.take();
      stream.expect("(");
      const left = stream.nested(() => parseDuration(stream, 0));
      stream.expect(",");
      const right = stream.nested(() => parseDuration(stream, 0));
      stream.expect(")");
      const position = { start: token.start, end: stream.lastEnd };
      return { kind: "duration-binary", operator: token.kind, left, right, position };
    }
    default:
      throw stream.unexpected();
  }
}

function parseLiteral(stream: TokenStream, start = stream.peek().start): NumberLiteral {
  const token = stream.take();
  const value = literalValue(stream, token);
  // A number that is none would be any duration at all.
  if (!(value <= SECONDS_MAX)) throw stream.error(start, "duration out of range");
  return { kind: "number", value, isDuration: token.kind === "<duration>", position: { start, end: token.end } };
}

/** Parentheses around parentheses say nothing. */
function parseParen(stream: TokenStream): Duration {
  const { start } = stream.expect("(");
  const duration = stream.nested(() => parseDuration(stream, 0));
  stream.expect(")");
  if (duration.kind === "duration-paren") return duration;
  const position = duration.kind === "number" ? { start, end: duration.position.end } : duration.position;
  return { kind: "duration-paren", duration, position };
}

/** A sign is part of a literal; in front of anything else a plus says nothing. */
function signed(sign: Token, duration: Duration): Duration {
  const position = { start: sign.start, end: duration.position.end };
  if (duration.kind === "number")
    return { ...duration, value: sign.kind === "-" ? -duration.value : duration.value, position };
  return sign.kind === "-" ? { kind: "duration-negated", duration, position } : duration;
}
