/** Vector selectors: a metric name, matchers in braces, or both. */
import { METRIC_NAME } from "../../model/labels.ts";
import type { Matcher, MatcherType } from "../../model/matcher.ts";
import { valueTest } from "../../model/value-test.ts";
import { messageOf } from "../../../base/errors.ts";
import type { VectorSelector } from "../ast.ts";
import { unquote } from "./literals.ts";
import type { TokenStream } from "./token-stream.ts";
import { isMetricName } from "./tokens.ts";
import type { Token, TokenKind } from "./tokens.ts";

export function parseSelector(stream: TokenStream): VectorSelector {
  if (isMetricName(stream.peek())) return parseSelectorAfterName(stream, stream.take());
  const { start } = stream.expect("{");
  const matchers = parseMatchers(stream);
  return selectorOf(undefined, matchers, start, stream.lastEnd);
}

export function parseSelectorAfterName(stream: TokenStream, { text, start }: Token): VectorSelector {
  const matchers = stream.takeIf("{") === undefined ? [] : parseMatchers(stream);
  return selectorOf(text, [...matchers, { type: "=", name: METRIC_NAME, value: text }], start, stream.lastEnd);
}

const selectorOf = (
  name: string | undefined,
  matchers: readonly Matcher[],
  start: number,
  end: number,
): VectorSelector => ({
  kind: "vector-selector",
  name,
  matchers,
  offset: undefined,
  at: undefined,
  anchored: false,
  smoothed: false,
  position: { start, end },
});

const matcherTypes: ReadonlySet<TokenKind> = new Set<MatcherType>(["=", "!=", "=~", "!~"]);
const isMatcherType = (kind: TokenKind): kind is MatcherType => matcherTypes.has(kind);

/** What follows the opening brace, up to and with the closing one. */
function parseMatchers(stream: TokenStream): Matcher[] {
  const matchers: Matcher[] = [];
  while (stream.takeIf("}") === undefined) {
    matchers.push(parseMatcher(stream));
    if (stream.takeIf(",") === undefined && stream.peek().kind !== "}")
      throw stream.unexpected(' in label matching, expected "," or "}"');
  }
  return matchers;
}

function parseMatcher(stream: TokenStream): Matcher {
  const label = stream.peek();
  if (label.kind !== "<identifier>" && label.kind !== "<string>")
    throw stream.unexpected(' in label matching, expected identifier or "}"');
  stream.take();
  const name = label.kind === "<string>" ? unquote(label.text) : label.text;
  const type = stream.peek().kind;
  if (!isMatcherType(type)) {
    // A string on its own is the metric name, one that needs quotes.
    if (label.kind === "<string>") return { type: "=", name: METRIC_NAME, value: name };
    throw stream.unexpected(" in label matching, expected label matching operator");
  }
  stream.take();
  if (stream.peek().kind !== "<string>") throw stream.unexpected(" in label matching, expected string");
  const matcher = { type, name, value: unquote(stream.take().text) };
  // Compiles a regular expression, so that a bad one is an error of the query's text.
  try {
    valueTest(matcher);
  } catch (thrown) {
    throw stream.error(label.start, messageOf(thrown));
  }
  return matcher;
}
