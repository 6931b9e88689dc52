/**
 * Remote write 1.0 messages (prompb/remote.proto, types.proto) read and written by the book. The reader says for any bytes
 * what the kernel's walk must make of them; the writer spells a request in all the ways that protobuf allows, which a
 * well-behaved encoder such as protobufjs does not.
 *
 * Label texts are byte strings: one character per byte, so that what is not UTF-8 survives.
 */
import type { Random } from "./random.ts";

export type ByteLabel = readonly [name: string, value: string];

export interface TwinSample {
  readonly timestampMs: bigint;
  /** The bits of the value. */
  readonly value: bigint;
}

export interface TwinSeries {
  readonly labels: readonly ByteLabel[];
  readonly samples: readonly TwinSample[];
}

export interface ParsedSeries {
  /** Undefined where a label is malformed: that costs only this series. */
  readonly labels: readonly (ByteLabel | undefined)[];
  readonly samples: readonly TwinSample[];
  readonly histograms: number;
}

/** @throws Error when the tenth byte of a varint held more than one bit */
export function inRange(varint64: bigint): bigint {
  if (varint64 >= 2n ** 64n) throw new Error("a varint of more than 64 bits");
  return varint64;
}

class MessageReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = BigInt(this.take(1)[0]!);
      value |= (byte & 127n) << shift;
      if (byte < 128n) return inRange(value);
    }
    throw new Error("a varint of more than ten bytes");
  }

  take(byteCount: number | bigint): Uint8Array {
    const end = this.#at + Number(byteCount);
    if (end > this.#bytes.length) throw new Error("the message ends too soon");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  delimited = (): Uint8Array => this.take(this.varint());

  /**
   * The next tag. Known fields must come in one byte and with their own wire type, so that no two readers see two things.
   * @param known tags by field number, from 1 on
   */
  tag(known: readonly number[]): number {
    const before = this.#at;
    const tag = this.varint();
    const number = tag >> 3n;
    if (number === 0n || tag > 0xffff_ffffn) throw new Error("no such field");
    if (number <= BigInt(known.length) && (this.#at - before > 1 || tag !== BigInt(known[Number(number) - 1]!))) {
      throw new Error("a known field in another spelling");
    }
    return Number(tag);
  }

  skip(tag: number): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 1) this.take(8);
    else if (wireType === 2) this.delimited();
    else if (wireType === 5) this.take(4);
    else throw new Error("a group");
  }
}

/** Wire types 2, 2 / 2, 2 / 1, 0. */
const SERIES = 0x0a;
const LABEL = 0x0a;
const SAMPLE = 0x12;
const NAME = 0x0a;
const VALUE = 0x12;
const SAMPLE_VALUE = 0x09;
const SAMPLE_TIME = 0x10;
const HISTOGRAM_FIELD = 4;

/** @throws Error when the message is malformed */
export function parseWriteRequest(message: Uint8Array): ParsedSeries[] {
  const reader = new MessageReader(message);
  const series: ParsedSeries[] = [];
  while (!reader.isAtEnd) {
    const tag = reader.tag([SERIES]);
    if (tag === SERIES) series.push(parseSeries(reader.delimited()));
    else reader.skip(tag);
  }
  return series;
}

function parseSeries(message: Uint8Array): ParsedSeries {
  const reader = new MessageReader(message);
  const labels: (ByteLabel | undefined)[] = [];
  const samples: TwinSample[] = [];
  let histograms = 0;
  while (!reader.isAtEnd) {
    const tag = reader.tag([LABEL, SAMPLE]);
    if (tag === LABEL) labels.push(parseLabel(reader.delimited()));
    else if (tag === SAMPLE) samples.push(parseSample(reader.delimited()));
    else {
      reader.skip(tag);
      if (tag >> 3 === HISTOGRAM_FIELD) histograms++;
    }
  }
  return { labels, samples, histograms };
}

function parseLabel(message: Uint8Array): ByteLabel | undefined {
  const reader = new MessageReader(message);
  let name = "";
  let value = "";
  try {
    while (!reader.isAtEnd) {
      const tag = reader.tag([NAME, VALUE]);
      if (tag === NAME) name = Buffer.from(reader.delimited()).toString("latin1");
      else if (tag === VALUE) value = Buffer.from(reader.delimited()).toString("latin1");
      else reader.skip(tag);
    }
  } catch {
    return undefined;
  }
  return [name, value];
}

function parseSample(message: Uint8Array): TwinSample {
  const reader = new MessageReader(message);
  let timestampMs = 0n;
  let value = 0n;
  while (!reader.isAtEnd) {
    const tag = reader.tag([SAMPLE_VALUE, SAMPLE_TIME]);
    if (tag === SAMPLE_VALUE) value = Buffer.from(reader.take(8)).readBigUInt64LE();
    else if (tag === SAMPLE_TIME) timestampMs = BigInt.asIntN(64, reader.varint());
    else reader.skip(tag);
  }
  return { timestampMs, value };
}

/** Writes a request as a well-behaved sender does; with `random`, in one of the other ways that mean the same. */
export function writeRequest(series: readonly TwinSeries[], random?: Random): Uint8Array {
  return Buffer.concat(series.map((one) => field(SERIES, writeSeries(one, random), random)));
}

function writeSeries({ labels, samples }: TwinSeries, random: Random | undefined): Uint8Array {
  const labelFields = labels.map(([name, value]) =>
    field(
      LABEL,
      Buffer.concat([
        field(NAME, Buffer.from(name, "latin1"), random),
        field(VALUE, Buffer.from(value, "latin1"), random),
      ]),
      random,
    ),
  );
  const sampleFields = samples.map((sample) => field(SAMPLE, writeSample(sample), random));
  if (!random?.chance(0.1)) return Buffer.concat([...labelFields, ...sampleFields]);
  // Labels and samples in each other's midst, each kind in its order, and unknown fields between them.
  const mixed: Uint8Array[] = [];
  while (labelFields.length + sampleFields.length > 0) {
    if (random.chance(0.2))
      mixed.push(random.pick([Uint8Array.of(0x78, 0x01), field(0x7a, Buffer.from("??"), random)]));
    const from =
      sampleFields.length === 0 || (labelFields.length > 0 && random.chance(0.5)) ? labelFields : sampleFields;
    mixed.push(from.shift()!);
  }
  return Buffer.concat(mixed);
}

function writeSample({ timestampMs, value }: TwinSample): Uint8Array {
  const bits = Buffer.alloc(8);
  bits.writeBigUInt64LE(value);
  return Buffer.concat([
    Uint8Array.of(SAMPLE_VALUE),
    bits,
    Uint8Array.of(SAMPLE_TIME),
    varint(BigInt.asUintN(64, timestampMs)),
  ]);
}

function field(tag: number, content: Uint8Array, random: Random | undefined): Uint8Array {
  // A length may be padded with zeros that mean nothing.
  const padding = random?.chance(0.02) ? 1 : 0;
  return Buffer.concat([Uint8Array.of(tag), varint(BigInt(content.length), padding), content]);
}

export function varint(value: bigint, padding = 0): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  for (let i = 0; i < padding; i++) {
    bytes[bytes.length - 1]! |= 128;
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}
