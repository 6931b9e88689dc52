/** Remote write of native histograms, which nothing here can make otherwise: by hand, after Prometheus' types.proto. */
import snappy from "snappyjs";

const varint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)];
const zigzag = (value: number): number[] => varint(value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n);
const bytesField = (field: number, bytes: readonly number[]): number[] => [
  ...varint(BigInt(field * 8 + 2)),
  ...varint(BigInt(bytes.length)),
  ...bytes,
];
const numberField = (field: number, encoded: readonly number[]): number[] => [field * 8, ...encoded];
const double = (field: number, value: number): number[] => [
  field * 8 + 1,
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const textField = (field: number, text: string): number[] => bytesField(field, [...Buffer.from(text, "utf8")]);

/** A histogram of schema 0 that has seen `count` observations in each of three buckets. */
const histogram = (timestamp: number, count: number): number[] => [
  ...numberField(1, varint(BigInt(3 * count))),
  ...double(3, 10 * count),
  ...numberField(4, zigzag(0)),
  ...double(5, 1e-128),
  // One span: three buckets from 0 on. Of the counts the first, and then by how much each differs from the one before.
  ...bytesField(11, [...numberField(1, zigzag(0)), ...numberField(2, [3])]),
  ...bytesField(12, [...zigzag(count), ...zigzag(0), ...zigzag(0)]),
  ...numberField(15, varint(BigInt(timestamp))),
];

/** Series `histogram{i="0"}` and so on, each with the same times. */
export function encodeHistograms(seriesCount: number, times: readonly number[]): Uint8Array<ArrayBuffer> {
  const series = Array.from({ length: seriesCount }, (_, i) =>
    bytesField(1, [
      ...bytesField(1, [...textField(1, "__name__"), ...textField(2, "day_histogram")]),
      ...bytesField(1, [...textField(1, "i"), ...textField(2, String(i))]),
      ...times.flatMap((time, k) => bytesField(4, histogram(time, (i + 1) * (k + 1)))),
    ]),
  );
  return Uint8Array.from(snappy.compress(Uint8Array.from(series.flat())));
}
