/**
 * Functions of one value, and of scalars that hold for the whole step: `abs(v)`, `clamp(v, min, max)`. One row each, name
 * to arithmetic; the operator that applies them (operators/elementwise.ts) does everything else. Where Go and JavaScript
 * disagree on special values, Go is followed.
 */
export type Elementwise = (value: number, first: number, second: number) => number;

/** Go: an infinity of the winning sign wins even over NaN. */
const goMax = (a: number, b: number): number => (a === Infinity || b === Infinity ? Infinity : Math.max(a, b));
const goMin = (a: number, b: number): number => (a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b));

const clamp: Elementwise = (value, min, max) => goMax(min, goMin(max, value));

/** Ties go up; dividing by the inverse is what Prometheus does, and rounds differently from multiplying. */
const roundTo = (value: number, toNearest: number): number => {
  const inverse = 1 / toNearest;
  return Math.floor(value * inverse + 0.5) / inverse;
};

export const ELEMENTWISE: ReadonlyMap<string, Elementwise> = new Map<string, Elementwise>([
  ["abs", Math.abs],
  ["ceil", Math.ceil],
  ["floor", Math.floor],
  ["round", roundTo],
  ["sgn", (value) => (value < 0 ? -1 : value > 0 ? 1 : value)],
  ["sqrt", Math.sqrt],
  ["exp", Math.exp],
  ["ln", Math.log],
  ["log2", Math.log2],
  ["log10", Math.log10],
  ["clamp", clamp], // has no value at all when max < min: operators/elementwise.ts
  ["clamp_min", (value, min) => clamp(value, min, Infinity)],
  ["clamp_max", (value, max) => clamp(value, -Infinity, max)],
  ["sin", Math.sin],
  ["cos", Math.cos],
  ["tan", Math.tan],
  ["asin", Math.asin],
  ["acos", Math.acos],
  ["atan", Math.atan],
  ["sinh", Math.sinh],
  ["cosh", Math.cosh],
  ["tanh", Math.tanh],
  ["asinh", Math.asinh],
  ["acosh", Math.acosh],
  ["atanh", Math.atanh],
  ["rad", (value) => value * (Math.PI / 180)],
  ["deg", (value) => value * (180 / Math.PI)],
]);
