/**
 * A query laid out for people, as GET /api/v1/format_query answers: what does not fit on a line of 100 characters is broken
 * at its outermost construct, two blanks deeper for each level.
 * @see Prometheus promql/parser/prettier.go
 */
import type { BinaryExpression, Expression } from "./ast.ts";
import { printAggregation, printExpression, printOperator, printSubqueryRange } from "./print.ts";

const LINE_BYTES_MAX = 100;

/** Deeper levels stay where they are, or the text of a long chain of operators would grow with its square. */
const INDENTED_LEVELS_MAX = 100;

export const formatExpression = (expression: Expression, lineBytesMax = LINE_BYTES_MAX): string =>
  new Formatter(lineBytesMax).format(expression, 0);

const indent = (level: number): string => "  ".repeat(Math.min(level, INDENTED_LEVELS_MAX));

class Formatter {
  readonly #lineBytesMax: number;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  format(expression: Expression, level: number): string {
    const start = indent(level);
    if (expression.kind === "unary") {
      return start + expression.operator + this.format(expression.expression, level).trim();
    }
    if (expression.kind === "binary") return this.#chain(expression, level);
    const line = printExpression(expression);
    const fits = Buffer.byteLength(line) <= this.#lineBytesMax;
    switch (expression.kind) {
      case "subquery":
        // Prometheus leaves a subquery that fits where it is.
        return fits ? line : this.format(expression.expression, level) + printSubqueryRange(expression);
      case "paren":
        return fits ? start + line : `${start}(\n${this.format(expression.expression, level + 1)}\n${start})`;
      case "aggregate": {
        if (fits) return start + line;
        const { parameter, expression: operand } = expression;
        const given = parameter === undefined ? [operand] : [parameter, operand];
        return `${start}${printAggregation(expression)}${this.#arguments(given, level)}`;
      }
      case "call":
        return fits ? start + line : `${start}${expression.name}${this.#arguments(expression.arguments, level)}`;
      default:
        return start + line;
    }
  }

  #arguments(given: readonly Expression[], level: number): string {
    return `(\n${given.map((argument) => this.format(argument, level + 1)).join(",\n")}\n${indent(level)})`;
  }

  /** Operators that do not fit on a line, from the last one to the left, each side one level deeper. */
  #chain(last: BinaryExpression, level: number): string {
    const chain: BinaryExpression[] = [];
    let first: Expression = last;
    for (; first.kind === "binary"; first = first.left) chain.push(first);
    // Bytes of the line up to and with each operator's right side.
    const lineBytes: number[] = [];
    let bytes = Buffer.byteLength(printExpression(first));
    for (const binary of chain.toReversed()) {
      bytes += Buffer.byteLength(` ${printOperator(binary)} ${printExpression(binary.right)}`);
      lineBytes.push(bytes);
    }
    const broken = chain.slice(0, lineBytes.filter((length) => length > this.#lineBytesMax).length);
    const kept = chain[broken.length] ?? first;
    const innerLevel = level + broken.length;
    const lines = [kept.kind === "binary" ? indent(innerLevel) + printExpression(kept) : this.format(kept, innerLevel)];
    for (const [i, binary] of [...broken.entries()].reverse())
      lines.push(indent(level + i) + printOperator(binary), this.format(binary.right, level + i + 1));
    return lines.join("\n");
  }
}
