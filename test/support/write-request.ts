/** Remote write 1.0 requests as a sender makes them, by protobufjs and snappyjs: the oracles of the kernel's own decoding. */
import protobuf from "protobufjs";
import snappy from "snappyjs";

const { root } = protobuf.parse(`
  syntax = "proto3";
  message WriteRequest { repeated TimeSeries timeseries = 1; }
  message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
  message Label { string name = 1; string value = 2; }
  message Sample { double value = 1; int64 timestamp = 2; }
`);
const WriteRequest = root.lookupType("WriteRequest");

export interface WrittenSeries {
  /** `__name__` among them; sent in the order given. */
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly WrittenSample[];
}

export interface WrittenSample {
  readonly timestamp: number;
  readonly value: number;
}

/** The protobuf message. NaN payloads are not kept: protobufjs reads values as numbers. */
export function encodeWriteRequest(series: readonly WrittenSeries[]): Uint8Array {
  const timeseries = series.map(({ labels, samples }) => ({
    labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
    samples,
  }));
  return WriteRequest.encode(WriteRequest.fromObject({ timeseries })).finish();
}

/** What a message holds; @throws what protobufjs throws when it cannot be read */
export function decodeWriteRequest(message: Uint8Array): WrittenSeries[] {
  const { timeseries } = WriteRequest.toObject(WriteRequest.decode(message), { arrays: true, longs: Number }) as {
    readonly timeseries: readonly {
      readonly labels: readonly { readonly name: string; readonly value: string }[];
      readonly samples: readonly WrittenSample[];
    }[];
  };
  return timeseries.map(({ labels, samples }) => ({
    labels: Object.fromEntries(labels.map(({ name, value }) => [name, value])),
    samples,
  }));
}

/** How many samples a message has. @throws what protobufjs throws when it cannot be read */
export function countSamples(message: Uint8Array): number {
  const { timeseries } = WriteRequest.toObject(WriteRequest.decode(message), { arrays: true, longs: String }) as {
    readonly timeseries: readonly { readonly samples: readonly unknown[] }[];
  };
  return timeseries.reduce((count, { samples }) => count + samples.length, 0);
}

export const snappyCompress = (bytes: Uint8Array): Uint8Array => snappy.compress(Uint8Array.from(bytes));

export const snappyUncompress = (bytes: Uint8Array): Uint8Array => snappy.uncompress(bytes);

/** The body that a sender posts. */
export const writeBody = (series: readonly WrittenSeries[]): Uint8Array => snappyCompress(encodeWriteRequest(series));
