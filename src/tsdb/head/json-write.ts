/**
 * The JSON write body, turned into the remote write message that the kernel reads:
 *   {"timeseries":[{"labels":[{"name":"…","value":"…"}],"samples":[{"timestamp":ms,"value":v}]}]}
 * A value is a number, or one of the strings "NaN", "+Inf", "Inf", "-Inf", which JSON numbers cannot say.
 */
import { z } from "zod";
import { TsdbError } from "../../base/errors.ts";

const specialValues: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  "+Inf": Number.POSITIVE_INFINITY,
  Inf: Number.POSITIVE_INFINITY,
  "-Inf": Number.NEGATIVE_INFINITY,
};

const bodySchema = z.strictObject({
  timeseries: z.array(
    z.strictObject({
      labels: z.array(z.strictObject({ name: z.string(), value: z.string() })),
      samples: z.array(
        z.strictObject({
          timestamp: z.int(),
          value: z.union([z.number(), z.enum(["NaN", "+Inf", "Inf", "-Inf"])]),
        }),
      ),
    }),
  ),
});

/**
 * @returns a remote write 1.0 WriteRequest, not compressed
 * @throws TsdbError BAD_REQUEST naming the place in the body
 */
export function writeRequestFromJson(body: Uint8Array): Uint8Array {
  const parsed = bodySchema.safeParse(parseJson(body));
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const where = issue.path.length === 0 ? "the body" : issue.path.map(String).join(".");
    throw new TsdbError("BAD_REQUEST", `Cannot read the JSON body: ${where}: ${issue.message}`, {
      remedy:
        'Send {"timeseries":[{"labels":[{"name":"__name__","value":"cpu"}],"samples":[{"timestamp":1700000000000,"value":0.85}]}]}',
    });
  }
  const out = new MessageWriter(body.byteLength * 2 + 64);
  for (const { labels, samples } of parsed.data.timeseries) {
    out.message(0x0a, () => {
      for (const { name, value } of labels) {
        out.message(0x0a, () => {
          out.text(0x0a, name);
          out.text(0x12, value);
        });
      }
      for (const { timestamp, value } of samples) {
        out.message(0x12, () => out.sample(typeof value === "string" ? specialValues[value]! : value, timestamp));
      }
    });
  }
  return out.bytes();
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new TsdbError("BAD_REQUEST", "Cannot read the JSON body: it is not valid JSON in UTF-8", { cause });
  }
}

/** Writes protobuf; nested messages are written behind room for their longest length, then moved up. */
class MessageWriter {
  #buffer: Buffer;
  #end = 0;

  constructor(capacityBytes: number) {
    this.#buffer = Buffer.allocUnsafe(capacityBytes);
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#end);
  }

  message(tag: number, write: () => void): void {
    this.#reserve(8);
    this.#buffer[this.#end++] = tag;
    const lengthAt = this.#end;
    this.#end += 5;
    write();
    const length = this.#end - lengthAt - 5;
    const end = this.#varint(lengthAt, length);
    this.#buffer.copyWithin(end, lengthAt + 5, this.#end);
    this.#end = end + length;
  }

  text(tag: number, text: string): void {
    const bytes = Buffer.from(text);
    this.#reserve(bytes.byteLength + 8);
    this.#buffer[this.#end++] = tag;
    this.#end = this.#varint(this.#end, bytes.byteLength);
    this.#end += bytes.copy(this.#buffer, this.#end);
  }

  sample(value: number, timestampMs: number): void {
    this.#reserve(24);
    this.#buffer[this.#end++] = 0x09;
    this.#end = this.#buffer.writeDoubleLE(value, this.#end);
    this.#buffer[this.#end++] = 0x10;
    let rest = BigInt.asUintN(64, BigInt(timestampMs));
    for (; rest > 127n; rest >>= 7n) this.#buffer[this.#end++] = Number(rest & 127n) | 128;
    this.#buffer[this.#end++] = Number(rest);
  }

  #varint(at: number, value: number): number {
    let position = at;
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#buffer[position++] = (rest % 128) | 128;
    this.#buffer[position++] = rest;
    return position;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.byteLength) return;
    const larger = Buffer.allocUnsafe((this.#end + bytes) * 2);
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}
