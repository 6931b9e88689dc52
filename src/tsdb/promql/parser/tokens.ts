/**
 * The words of PromQL. A token's kind is the word itself where the word is fixed ("sum", "<=", "{"), whatever its case was,
 * and a name in angle brackets where it is not.
 */
import { quoted } from "./go-text.ts";

export type TokenKind =
  | "<end>"
  | "<identifier>"
  | "<metric identifier>" // with a colon in it, so no label name and no function
  | "<string>"
  | "<number>"
  | "<duration>"
  | Punctuation
  | Operator
  | Aggregator
  | Keyword
  | Preprocessor;

export type Punctuation = "(" | ")" | "{" | "}" | "[" | "]" | "," | ":" | "=";

const operators = [
  "+",
  "-",
  "*",
  "/",
  "%",
  "^",
  "==",
  "!=",
  "<=",
  "<",
  ">=",
  ">",
  "</",
  ">/",
  "=~",
  "!~",
  "@",
  "and",
  "or",
  "unless",
  "atan2",
] as const;
export type Operator = (typeof operators)[number];

const aggregators = [
  "sum",
  "avg",
  "count",
  "min",
  "max",
  "group",
  "stddev",
  "stdvar",
  "topk",
  "bottomk",
  "count_values",
  "quantile",
  "limitk",
  "limit_ratio",
] as const;
export type Aggregator = (typeof aggregators)[number];

const keywords = [
  "offset",
  "smoothed",
  "anchored",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "fill",
  "fill_left",
  "fill_right",
  "bool",
] as const;
export type Keyword = (typeof keywords)[number];

/** Functions of the query itself, which durations and `@` know too. */
const preprocessors = ["start", "end", "step", "range", "max_of", "min_of"] as const;
export type Preprocessor = (typeof preprocessors)[number];

export interface Token {
  readonly kind: TokenKind;
  /** As it stands in the query. */
  readonly text: string;
  /** Index into the query, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
}

export const OPERATORS: ReadonlySet<TokenKind> = new Set(operators);
export const AGGREGATORS: ReadonlySet<TokenKind> = new Set(aggregators);
export const KEYWORDS: ReadonlySet<TokenKind> = new Set(keywords);

const words = [...operators, ...aggregators, ...keywords, ...preprocessors].filter((word) => /^[a-z]/.test(word));

/** What a word of letters means in an expression; in braces all of them are identifiers. */
export const KIND_OF_WORD: ReadonlyMap<string, TokenKind> = new Map<string, TokenKind>([
  ...words.map((word) => [word, word] as const),
  ["inf", "<number>"],
  ["nan", "<number>"],
]);

/** Words that may stand where a metric name is expected. */
const metricNames: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "<identifier>",
  "<metric identifier>",
  "and",
  "or",
  "unless",
  "by",
  "without",
  "offset",
  "anchored",
  "smoothed",
  "fill",
  "fill_left",
  "fill_right",
  ...aggregators,
  ...preprocessors,
]);
export const isMetricName = ({ kind }: Token): boolean => metricNames.has(kind);

/** Words that are called when a parenthesis follows; whether the function exists is seen after its arguments. */
const functionNames: ReadonlySet<TokenKind> = new Set<TokenKind>(["<identifier>", ...preprocessors]);
export const isFunctionName = ({ kind }: Token): boolean => functionNames.has(kind);

const operandStarts: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "<number>",
  "<duration>",
  "<string>",
  "(",
  "{",
  "+",
  "-",
]);
export const startsExpression = (token: Token): boolean => operandStarts.has(token.kind) || isMetricName(token);

/** Words that may stand where a label name is expected in `by (...)` and its like. */
const labelNames: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "<identifier>",
  "<metric identifier>",
  "and",
  "or",
  "unless",
  "atan2",
  ...aggregators,
  ...keywords,
  ...preprocessors,
]);
/** Prometheus forgot one keyword. */
export const isLabelName = ({ kind }: Token): boolean => kind !== "without" && labelNames.has(kind);

/** A token as messages name it: `identifier "foo"`, `<op:+>`, `end of input`. */
export function describe(token: Token): string {
  const { kind, text } = token;
  if (kind === "<end>") return "end of input";
  if (kind === "<identifier>") return `identifier ${quoted(text)}`;
  if (kind === "<metric identifier>") return `metric identifier ${quoted(text)}`;
  if (KEYWORDS.has(kind)) return `<${text}>`;
  if (OPERATORS.has(kind)) return `<op:${text}>`;
  if (AGGREGATORS.has(kind)) return `<aggr:${text}>`;
  const name = kind === "<string>" || kind === "<number>" || kind === "<duration>" ? `${kind.slice(1, -1)} ` : "";
  return name + shortened(text);
}

const shortened = (text: string): string =>
  Buffer.byteLength(text) > 10 ? `${quoted(Array.from(text).slice(0, 10).join(""))}...` : quoted(text);
