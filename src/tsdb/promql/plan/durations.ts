/**
 * Lengths of time that a query writes as an expression, in milliseconds. They are computed once, when the query's step and
 * range are known, and rounded as in Prometheus: a plain literal to the nanosecond, whatever was computed towards zero.
 */
import { TsdbError } from "../../../base/errors.ts";
import type { Duration } from "../ast.ts";
import { power } from "../functions/arithmetic.ts";

/** What `step()` and `range()` are inside a duration; both 0 in an instant query. */
export interface QuerySpan {
  readonly stepMs: number;
  readonly rangeMs: number;
}

/** @throws TsdbError BAD_QUERY, when the length is no number or not positive */
export const positiveDurationMs = (duration: Duration, span: QuerySpan): number => durationMs(duration, span, false);

/** @throws TsdbError BAD_QUERY, when the length is no number */
export const offsetMs = (duration: Duration, span: QuerySpan): number => durationMs(duration, span, true);

/** The longest Go duration, in seconds. */
const SECONDS_END = 2 ** 63 / 1e9;

function durationMs(duration: Duration, span: QuerySpan, mayBeNegative: boolean): number {
  if (duration.kind === "number") return Math.trunc(Math.round(duration.value * 1e9) / 1e6);
  const seconds = evaluate(duration, span);
  if (!Number.isFinite(seconds)) throw invalid(duration, "duration is NaN or infinite");
  if (seconds <= 0 && !mayBeNegative) throw invalid(duration, "duration must be greater than 0");
  if (Math.abs(seconds) > SECONDS_END) throw invalid(duration, "duration is out of range");
  return Math.trunc(seconds * 1000);
}

function evaluate(duration: Duration, span: QuerySpan): number {
  switch (duration.kind) {
    case "number":
      return duration.value;
    case "duration-paren":
      return evaluate(duration.duration, span);
    case "duration-negated":
      return -evaluate(duration.duration, span);
    case "duration-of-query":
      return (duration.what === "step" ? span.stepMs : span.rangeMs) / 1000;
    case "duration-binary": {
      const left = evaluate(duration.left, span);
      const right = evaluate(duration.right, span);
      switch (duration.operator) {
        case "+":
          return left + right;
        case "-":
          return left - right;
        case "*":
          return left * right;
        case "/":
          if (right === 0) throw invalid(duration, "division by zero");
          return left / right;
        case "%":
          if (right === 0) throw invalid(duration, "modulo by zero");
          return left % right;
        case "^":
          return power(left, right);
        case "min_of":
          return Math.min(left, right);
        case "max_of":
          return Math.max(left, right);
      }
    }
  }
}

/** Prometheus gives both ends of the expression here, as offsets. */
const invalid = ({ position }: Duration, message: string): TsdbError =>
  new TsdbError("BAD_QUERY", `${position.start}:${position.end}: ${message}`);
