/**
 * A query laid out for people, as GET /api/v1/format_query answers: what does not fit on a line of 100 characters is broken
 * at its outermost construct, two blanks deeper for each level.
 * @see Prometheus promql/parser/prettier.go
 */
import type { Expression } from "./ast.ts";
import { printAggregation, printExpression, printOperator, printSubqueryRange } from "./print.ts";

const LINE_BYTES_MAX = 100;

export const formatExpression = (expression: Expression): string => format(expression, 0);

const indent = (level: number): string => "  ".repeat(level);

function format(expression: Expression, level: number): string {
  const line = printExpression(expression);
  const fits = Buffer.byteLength(line) <= LINE_BYTES_MAX;
  const start = indent(level);
  switch (expression.kind) {
    case "unary":
      return start + expression.operator + format(expression.expression, level).trim();
    case "subquery":
      // Prometheus leaves a subquery that fits without its indentation.
      return fits ? line : format(expression.expression, level) + printSubqueryRange(expression);
    default:
  }
  if (fits) return start + line;
  switch (expression.kind) {
    case "paren":
      return `${start}(\n${format(expression.expression, level + 1)}\n${start})`;
    case "binary":
      return [
        format(expression.left, level + 1),
        start + printOperator(expression),
        format(expression.right, level + 1),
      ].join("\n");
    case "aggregate": {
      const given = expression.parameter === undefined ? [] : [expression.parameter];
      return `${start}${printAggregation(expression)}${formatArguments([...given, expression.expression], level)}`;
    }
    case "call":
      return `${start}${expression.name}${formatArguments(expression.arguments, level)}`;
    default:
      return start + line;
  }
}

const formatArguments = (given: readonly Expression[], level: number): string =>
  `(\n${given.map((argument) => format(argument, level + 1)).join(",\n")}\n${indent(level)})`;
