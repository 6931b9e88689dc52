/**
 * Label sets, the identity of series. Outside the kernel a label set is an array of [name, value] pairs sorted by name in
 * UTF-8 byte order, without duplicate names and without empty values: never a plain object, which would lose "__proto__"
 * and reorder names that look like integers.
 */
export type LabelPair = readonly [name: string, value: string];
export type LabelSet = readonly LabelPair[];

export const METRIC_NAME = "__name__";

/**
 * Compares as Go does, by UTF-8 bytes. JavaScript's `<` compares UTF-16 code units, which sorts astral characters before
 * U+E000..U+FFFF; adding 0x2000 to code units that are surrogates and wrapping puts them last.
 */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return fixUp(x) - fixUp(y);
  }
  return a.length - b.length;
}

const fixUp = (unit: number): number => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

/** Orders label sets as Prometheus does: pair by pair, name then value, a prefix first. */
export function compareLabelSets(a: LabelSet, b: LabelSet): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [nameA, valueA] = a[i]!;
    const [nameB, valueB] = b[i]!;
    const order = compareBytes(nameA, nameB) || compareBytes(valueA, valueB);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

const PLAIN_METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const PLAIN_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * As Prometheus prints it: `cpu{host="a"}`, or `{"cpu.total", host="a"}` when the metric name needs quotes.
 * @param separator between labels
 */
export function formatLabelSet(labels: LabelSet, separator = ", "): string {
  const name = labels.find(([labelName]) => labelName === METRIC_NAME)?.[1];
  const rest = labels
    .filter(([labelName]) => labelName !== METRIC_NAME)
    .map(([labelName, value]) => `${PLAIN_LABEL_NAME.test(labelName) ? labelName : quote(labelName)}=${quote(value)}`);
  if (name !== undefined && PLAIN_METRIC_NAME.test(name))
    return rest.length > 0 ? `${name}{${rest.join(separator)}}` : name;
  return `{${(name === undefined ? rest : [quote(name), ...rest]).join(separator)}}`;
}

/** A double-quoted string with Go's escapes for quotes, backslashes and line breaks. */
export const quote = (text: string): string =>
  `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
