/** Kubernetes quantities, as far as sizes go: "100Gi", "0.5", "1e3", "250m". Compared as exact fractions, never rounded. */

/** What `resource.Quantity` takes; no sign, since nothing here can be negative. */
export const QUANTITY_PATTERN = /^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$/;

const SUFFIXES: Readonly<Record<string, readonly [base: bigint, exponent: number]>> = {
  n: [10n, -9],
  u: [10n, -6],
  m: [10n, -3],
  "": [10n, 0],
  k: [10n, 3],
  M: [10n, 6],
  G: [10n, 9],
  T: [10n, 12],
  P: [10n, 15],
  E: [10n, 18],
  Ki: [2n, 10],
  Mi: [2n, 20],
  Gi: [2n, 30],
  Ti: [2n, 40],
  Pi: [2n, 50],
  Ei: [2n, 60],
};

/** A quantity in units of 10^-18: fine enough for every suffix and for as many decimals as anybody writes. */
const UNIT_DIGITS = 18;

/** @returns undefined when the text is no quantity */
export function parseQuantity(text: string): bigint | undefined {
  if (!QUANTITY_PATTERN.test(text)) return undefined;
  const match = /^\+?([0-9]*)(?:\.([0-9]*))?(.*)$/.exec(text)!;
  const [whole, fraction, suffix] = [match[1] ?? "", match[2] ?? "", match[3] ?? ""];
  const [base, exponent] = SUFFIXES[suffix] ?? ([10n, Number(suffix.slice(1))] as const);
  const digits = BigInt(whole + fraction || "0");
  const tens = UNIT_DIGITS - fraction.length + (base === 10n ? exponent : 0);
  // What is finer than a unit is rounded up, as Kubernetes does: it is not nothing.
  const scaled = tens >= 0 ? digits * 10n ** BigInt(tens) : (digits + 10n ** BigInt(-tens) - 1n) / 10n ** BigInt(-tens);
  return base === 2n ? scaled * 2n ** BigInt(exponent) : scaled;
}

/** As Kubernetes orders them. Both must be quantities. */
export function compareQuantities(a: string, b: string): number {
  const [left, right] = [parseQuantity(a)!, parseQuantity(b)!];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Bytes in a quantity, rounded up. */
export const quantityBytes = (text: string): bigint => {
  const units = parseQuantity(text)!;
  const unit = 10n ** BigInt(UNIT_DIGITS);
  return (units + unit - 1n) / unit;
};
