/**
 * A sender of remote write 1.0, for tests that must say exactly what is sent: stale markers and other NaNs keep their
 * bits, which numbers in JavaScript and protobufjs do not.
 */
import snappy from "snappyjs";

export interface SentSeries {
  /** `__name__` among them; sent in the order given. */
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly SentSample[];
}

export interface SentSample {
  /** ms since the epoch */
  readonly timestamp: number;
  readonly value: number | "stale";
}

export interface WriteAnswer {
  readonly status: number;
  readonly text: string;
}

export async function sendWrite(baseUrl: string, series: readonly SentSeries[]): Promise<WriteAnswer> {
  return postWrite(baseUrl, encodeWrite(series));
}

/** Sends a body that was encoded before. */
export async function postWrite(baseUrl: string, body: Uint8Array<ArrayBuffer>): Promise<WriteAnswer> {
  const response = await fetch(`${baseUrl}/api/v1/write`, {
    method: "POST",
    headers: {
      "content-type": "application/x-protobuf",
      "content-encoding": "snappy",
      "x-prometheus-remote-write-version": "0.1.0",
    },
    body,
  });
  return { status: response.status, text: await response.text() };
}

/** message WriteRequest { repeated TimeSeries timeseries = 1; }, compressed */
export function encodeWrite(series: readonly SentSeries[]): Uint8Array<ArrayBuffer> {
  const message = series.flatMap(({ labels, samples }) =>
    field(1, [
      ...Object.entries(labels).flatMap(([name, value]) => field(1, [...textField(1, name), ...textField(2, value)])),
      ...samples.flatMap((sample) => field(2, sampleMessage(sample))),
    ]),
  );
  return Uint8Array.from(snappy.compress(Uint8Array.from(message)));
}

/** message Sample { double value = 1; int64 timestamp = 2; } */
function sampleMessage({ timestamp, value }: SentSample): number[] {
  const bits = new DataView(new ArrayBuffer(8));
  if (value === "stale") bits.setBigUint64(0, 0x7ff0000000000002n, true);
  else bits.setFloat64(0, value, true);
  return [0x09, ...new Uint8Array(bits.buffer), 0x10, ...varint(BigInt.asUintN(64, BigInt(timestamp)))];
}

const LENGTH_DELIMITED = 2;
const field = (number: number, bytes: readonly number[]): number[] => [
  (number << 3) | LENGTH_DELIMITED,
  ...varint(BigInt(bytes.length)),
  ...bytes,
];
const textField = (number: number, text: string): number[] => field(number, [...Buffer.from(text, "utf8")]);

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  for (; value > 0x7fn; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  return [...bytes, Number(value)];
}
