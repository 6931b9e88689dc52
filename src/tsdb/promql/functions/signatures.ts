/**
 * The functions of PromQL, the experimental ones among them: what arguments they take and what they return. The one place
 * that says which functions exist; whether a function can be computed yet is the plan's business.
 */
import type { ValueType } from "../ast.ts";

export interface Signature {
  readonly arguments: readonly ValueType[];
  /** Arguments that may be left out, from the last one on. */
  readonly optional: number;
  /** How often the last argument may be given beyond the list. */
  readonly repeats: number;
  readonly returns: ValueType;
}

const vector = "vector";
const scalar = "scalar";
const matrix = "matrix";
const string = "string";

const signature = (
  given: readonly ValueType[],
  { optional = 0, repeats = 0, returns = vector }: Partial<Omit<Signature, "arguments">> = {},
): Signature => ({ arguments: given, optional, repeats, returns });

const ofVector = signature([vector]);
const ofMatrix = signature([matrix]);
const ofMatrixAndScalar = signature([matrix, scalar]);
const ofScalarAndVector = signature([scalar, vector]);
const constant = signature([], { returns: scalar });
/** Of the time of evaluation when nothing is given. */
const ofTime = signature([vector], { optional: 1 });
const ofTwoScalars = signature([scalar, scalar], { returns: scalar });
const sortByLabel = signature([vector, string], { optional: 1, repeats: Infinity });

export const SIGNATURES: ReadonlyMap<string, Signature> = new Map<string, Signature>([
  ["abs", ofVector],
  ["absent", ofVector],
  ["absent_over_time", ofMatrix],
  ["acos", ofVector],
  ["acosh", ofVector],
  ["asin", ofVector],
  ["asinh", ofVector],
  ["atan", ofVector],
  ["atanh", ofVector],
  ["avg_over_time", ofMatrix],
  ["ceil", ofVector],
  ["changes", ofMatrix],
  ["clamp", signature([vector, scalar, scalar])],
  ["clamp_max", signature([vector, scalar])],
  ["clamp_min", signature([vector, scalar])],
  ["cos", ofVector],
  ["cosh", ofVector],
  ["count_over_time", ofMatrix],
  ["day_of_month", ofTime],
  ["day_of_week", ofTime],
  ["day_of_year", ofTime],
  ["days_in_month", ofTime],
  ["deg", ofVector],
  ["delta", ofMatrix],
  ["deriv", ofMatrix],
  ["double_exponential_smoothing", signature([matrix, scalar, scalar])],
  ["end", constant],
  ["exp", ofVector],
  ["first_over_time", ofMatrix],
  ["floor", ofVector],
  ["histogram_avg", ofVector],
  ["histogram_count", ofVector],
  ["histogram_fraction", signature([scalar, scalar, vector])],
  ["histogram_quantile", ofScalarAndVector],
  ["histogram_quantiles", signature([vector, string, scalar, scalar], { optional: 1, repeats: 8 })],
  ["histogram_stddev", ofVector],
  ["histogram_stdvar", ofVector],
  ["histogram_sum", ofVector],
  ["hour", ofTime],
  ["idelta", ofMatrix],
  ["increase", ofMatrix],
  ["info", signature([vector, vector], { optional: 1 })],
  ["integral", signature([matrix, scalar], { optional: 1 })],
  ["irate", ofMatrix],
  ["label_join", signature([vector, string, string, string], { optional: 1, repeats: Infinity })],
  ["label_replace", signature([vector, string, string, string, string])],
  ["last_over_time", ofMatrix],
  ["ln", ofVector],
  ["log10", ofVector],
  ["log2", ofVector],
  ["mad_over_time", ofMatrix],
  ["max_of", ofTwoScalars],
  ["max_over_time", ofMatrix],
  ["min_of", ofTwoScalars],
  ["min_over_time", ofMatrix],
  ["minute", ofTime],
  ["month", ofTime],
  ["pi", constant],
  ["predict_linear", ofMatrixAndScalar],
  ["present_over_time", ofMatrix],
  ["quantile_over_time", signature([scalar, matrix])],
  ["rad", ofVector],
  ["range", constant],
  ["rate", ofMatrix],
  ["resets", ofMatrix],
  ["round", signature([vector, scalar], { optional: 1 })],
  ["scalar", signature([vector], { returns: scalar })],
  ["sgn", ofVector],
  ["sin", ofVector],
  ["sinh", ofVector],
  ["sort", ofVector],
  ["sort_by_label", sortByLabel],
  ["sort_by_label_desc", sortByLabel],
  ["sort_desc", ofVector],
  ["sqrt", ofVector],
  ["start", constant],
  ["start_timestamp", ofVector],
  ["stddev_over_time", ofMatrix],
  ["stdvar_over_time", ofMatrix],
  ["step", constant],
  ["sum_over_time", ofMatrix],
  ["tan", ofVector],
  ["tanh", ofVector],
  ["time", constant],
  ["timestamp", ofVector],
  ["ts_of_first_over_time", ofMatrix],
  ["ts_of_last_over_time", ofMatrix],
  ["ts_of_max_over_time", ofMatrix],
  ["ts_of_min_over_time", ofMatrix],
  ["vector", signature([scalar], { returns: vector })],
  ["year", ofTime],
]);
