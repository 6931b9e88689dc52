/**
 * Numbers as Go prints them, for answers and messages that must equal Prometheus'. Both languages print the shortest
 * digits that read back to the same number; they differ in signs, in infinities and in how they write exponents.
 */

/**
 * As Prometheus' HTTP API does: plain digits from 1e-6 up to, not including, 1e21, which are JavaScript's bounds too;
 * beyond them an exponent of at least two digits.
 */
export function valueText(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const text = String(value);
  if (value > 1e-6 && value < 1e21) return text;
  if (!Number.isFinite(value)) return nonFiniteText(value);
  return Math.abs(value) < 1e-6 ? padExponent(text) : text;
}

/** As Go's `%g` and `%v` print a float64: an exponent below 1e-4 and from 1e6 on. */
export function generalText(value: number): string {
  if (!Number.isFinite(value)) return nonFiniteText(value);
  if (value === 0) return valueText(value);
  const exponential = value.toExponential();
  const exponent = Number(exponential.slice(exponential.indexOf("e") + 1));
  return exponent < -4 || exponent >= 6 ? padExponent(exponential) : String(value);
}

/** As Go's `%f` with the shortest digits: never an exponent. Prometheus prints the value of a scalar result so. */
export function plainText(value: number): string {
  const [digits, exponent] = splitExponent(Math.abs(value));
  if (!Number.isFinite(value) || exponent === undefined) return valueText(value);
  const sign = value < 0 ? "-" : "";
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  return sign + digits.padEnd(exponent + 1, "0");
}

/** The digits of a number that JavaScript prints with an exponent, and that exponent, of its first digit. */
function splitExponent(magnitude: number): [string, number | undefined] {
  const [digits = "", exponent] = String(magnitude).split("e");
  return [digits.replace(".", ""), exponent === undefined ? undefined : Number(exponent)];
}

const nonFiniteText = (value: number): string => (value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN");

const padExponent = (text: string): string => text.replace(/e([+-])(\d)$/, "e$10$2");
