/**
 * The type check of a whole query, after its text has proved well-formed. Operands are checked before what they are operands
 * of, from left to right, and the first error counts; all in Prometheus' order and words.
 * @see Prometheus promql/parser/parse.go, checkAST
 */
import { METRIC_NAME } from "../../model/labels.ts";
import { acceptsEmpty } from "../../model/value-test.ts";
import type { TsdbError } from "../../../base/errors.ts";
import { typeOf } from "../ast.ts";
import type {
  AggregateExpression,
  BinaryExpression,
  CallExpression,
  Expression,
  ValueType,
  VectorSelector,
} from "../ast.ts";
import { SIGNATURES } from "../functions/signatures.ts";
import { quoted } from "./go-text.ts";
import { syntaxError } from "./syntax-error.ts";

/** @throws TsdbError BAD_QUERY */
export function checkTypes(query: string, expression: Expression): void {
  new TypeCheck(query).check(expression);
}

const documentedType = (type: ValueType): string =>
  type === "vector" ? "instant vector" : type === "matrix" ? "range vector" : type;

const COMPARISONS: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">="]);
const SET_OPERATORS: ReadonlySet<string> = new Set(["and", "or", "unless"]);
const isNumeric = (type: ValueType): boolean => type === "scalar" || type === "vector";

class TypeCheck {
  readonly #query: string;

  constructor(query: string) {
    this.#query = query;
  }

  check(expression: Expression): void {
    switch (expression.kind) {
      case "number":
      case "string":
        return;
      case "paren":
        return this.check(expression.expression);
      case "unary":
        return this.#unary(expression.expression, expression.position.start);
      case "binary":
        return this.#chain(expression);
      case "aggregate":
        return this.#aggregate(expression);
      case "call":
        return this.#call(expression);
      case "vector-selector":
        return this.#selector(expression);
      case "matrix-selector":
        return this.#selector(expression.selector);
      case "subquery": {
        this.check(expression.expression);
        const type = typeOf(expression.expression);
        if (type !== "vector")
          throw this.#error(expression, `subquery is only allowed on instant vector, got ${type} instead`);
      }
    }
  }

  #unary(operand: Expression, start: number): void {
    this.check(operand);
    const type = typeOf(operand);
    if (isNumeric(type)) return;
    const message = `unary expression only allowed on expressions of type scalar or instant vector, got "${documentedType(type)}"`;
    throw syntaxError(this.#query, start, message);
  }

  /** Chains such as a + b + c grow to the left, and may be long. */
  #chain(last: BinaryExpression): void {
    const chain: BinaryExpression[] = [];
    let first: Expression = last;
    for (; first.kind === "binary"; first = first.left) chain.push(first);
    this.check(first);
    for (const binary of chain.reverse()) this.#binary(binary);
  }

  /** Everything but the left side, which has been checked. */
  #binary(binary: BinaryExpression): void {
    const { operator, left, right, returnBool, matching } = binary;
    this.check(right);
    const types = [typeOf(left), typeOf(right)];
    const isComparison = COMPARISONS.has(operator);
    const isSet = SET_OPERATORS.has(operator);
    const hasScalar = types.includes("scalar");

    if (returnBool && !isComparison)
      throw this.#errorAtOperator(binary, "bool modifier can only be used on comparison operators");
    if (isComparison && !returnBool && types.every((type) => type === "scalar"))
      throw this.#errorAtOperator(binary, "comparisons between scalars must use BOOL modifier");
    const { card, on, labels, include, fillLeft, fillRight } = matching!;
    const both = on ? labels.find((label) => include.includes(label)) : undefined;
    if (both !== undefined)
      throw this.#errorAtOperator(binary, `label ${quoted(both)} must not occur in ON and GROUP clause at once`);
    for (const side of [left, right])
      if (!isNumeric(typeOf(side)))
        throw this.#error(side, "binary expression must contain only scalar and instant vector types");
    const fills = fillLeft !== undefined || fillRight !== undefined;
    if (hasScalar) {
      if (labels.length > 0) throw this.#error(binary, "vector matching only allowed between instant vectors");
      if (fills) throw this.#error(binary, "filling in missing series only allowed between instant vectors");
    } else if (isSet) {
      if (card !== "one-to-one") throw this.#error(binary, `no grouping allowed for ${quoted(operator)} operation`);
      if (fills) throw this.#error(binary, "filling in missing series not allowed for set operators");
    }
    if (hasScalar && isSet)
      throw this.#error(binary, `set operator ${quoted(operator)} not allowed in binary scalar expression`);
    // The tree is the parser's own until it is handed out, so what is known only now can still be put in.
    const checked: { -readonly [key in keyof BinaryExpression]: BinaryExpression[key] } = binary;
    if (hasScalar) checked.matching = undefined;
    else if (isSet) checked.matching = { ...matching!, card: "many-to-many" };
  }

  #aggregate({ operator, expression, parameter }: AggregateExpression): void {
    this.#expect(expression, "vector", "aggregation expression");
    if (parameter !== undefined)
      this.#expect(parameter, operator === "count_values" ? "string" : "scalar", "aggregation parameter");
  }

  #call(call: CallExpression): void {
    const { name, arguments: given } = call;
    const { arguments: types, optional, repeats } = SIGNATURES.get(name)!;
    const least = types.length - optional;
    const most = types.length + repeats;
    const named = `argument(s) in call to ${quoted(name)}, got ${given.length}`;
    if (optional === 0 && given.length !== least) throw this.#error(call, `expected ${least} ${named}`);
    if (given.length < least) throw this.#error(call, `expected at least ${least} ${named}`);
    if (given.length > most) throw this.#error(call, `expected at most ${most} ${named}`);
    const labelSelector = name === "info" ? given[1] : undefined;
    if (labelSelector !== undefined) this.#labelSelector(call, labelSelector);
    for (const [i, argument] of given.entries())
      if (argument !== labelSelector)
        this.#expect(argument, types[Math.min(i, types.length - 1)]!, `call to function ${quoted(name)}`);
  }

  /** The second argument of info() is no vector but a way to write matchers, which may all accept the empty string. */
  #labelSelector(call: CallExpression, argument: Expression): void {
    const type = typeOf(argument);
    if (type !== "vector")
      throw this.#error(call, `expected type instant vector in call to function "info", got ${documentedType(type)}`);
    if (argument.kind !== "vector-selector") throw this.#error(argument, "expected label selectors only");
    if (argument.name !== undefined)
      throw this.#error(argument, "expected label selectors only, got vector selector instead");
  }

  #expect(expression: Expression, type: ValueType, context: string): void {
    this.check(expression);
    const actual = typeOf(expression);
    if (actual === type) return;
    const message = `expected type ${documentedType(type)} in ${context}, got ${documentedType(actual)}`;
    throw this.#error(expression, message);
  }

  #selector(selector: VectorSelector): void {
    const { name, matchers } = selector;
    if (name !== undefined) {
      const other = matchers.slice(0, -1).find((matcher) => matcher.name === METRIC_NAME);
      if (other === undefined) return;
      const message = `metric name must not be set twice: ${quoted(name)} or ${quoted(other.value)}`;
      throw this.#error(selector, message);
    }
    if (matchers.every(acceptsEmpty))
      throw this.#error(selector, "vector selector must contain at least one non-empty matcher");
  }

  #error({ position }: Expression, message: string): TsdbError {
    return syntaxError(this.#query, position.start, message);
  }

  /** At the first thing that follows the left side and is no white space, as Prometheus finds the operator. */
  #errorAtOperator({ left }: BinaryExpression, message: string): TsdbError {
    const { end } = left.position;
    const spaces = /^[ \t\n\r]*/.exec(this.#query.slice(end))![0].length;
    return syntaxError(this.#query, end + spaces, message);
  }
}
