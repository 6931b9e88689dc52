/**
 * Binary operators on two numbers. Comparisons yield 0 or 1. Vectors call these from loops that V8 compiles as fast as the
 * kernel would be, so there is no second copy there.
 */
export type BinaryOperator = "+" | "-" | "*" | "/" | "%" | "^" | "atan2" | "==" | "!=" | ">" | "<" | ">=" | "<=";

const COMPARISONS: ReadonlySet<string> = new Set<BinaryOperator>(["==", "!=", ">", "<", ">=", "<="]);
const CALCULATIONS: ReadonlySet<string> = new Set<BinaryOperator>(["+", "-", "*", "/", "%", "^", "atan2"]);

export const isComparison = (operator: BinaryOperator): boolean => COMPARISONS.has(operator);

/** Whether it is one of these, not an operator on sets or histograms. */
export const isArithmetic = (operator: string): operator is BinaryOperator =>
  COMPARISONS.has(operator) || CALCULATIONS.has(operator);

export function calculate(operator: BinaryOperator, left: number, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "%":
      return left % right;
    case "^":
      return power(left, right);
    case "atan2":
      return Math.atan2(left, right);
    case "==":
      return left === right ? 1 : 0;
    case "!=":
      return left !== right ? 1 : 0;
    case ">":
      return left > right ? 1 : 0;
    case "<":
      return left < right ? 1 : 0;
    case ">=":
      return left >= right ? 1 : 0;
    case "<=":
      return left <= right ? 1 : 0;
  }
}

/** IEEE 754's pow, as in Go: 1 to any power is 1, and so is -1 to an infinite one; JavaScript says NaN. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Infinity)) return 1;
  return base ** exponent;
}
