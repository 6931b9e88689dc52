import fc from "fast-check";
import snappyjs from "snappyjs";
import { expect, test } from "vitest";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { decodeSnappy } from "../../support/snappy-twin.ts";

const BYTES_MAX = 4096;
const codec = new CodecKernel({ input: 8192, output: BYTES_MAX });

/** What the kernel makes of it: the decoded bytes, or its error code. */
function decode(input: Uint8Array, bytesMax = BYTES_MAX): Uint8Array | number {
  const length = codec.kernel.snappyDecode(codec.put("input", input), input.length, codec.at("output"), bytesMax);
  codec.checkGuards();
  return length < 0 ? length : codec.take("output", length);
}

/** Text with repeats at all distances, as label names have them. */
const compressible = fc
  .array(fc.tuple(fc.constantFrom("a", "ab", "instance", "\n\x08__name__", "0123456789abcdef"), fc.nat(40)), {
    maxLength: 60,
  })
  .map((parts) =>
    Buffer.from(
      parts
        .map(([text, times]) => text.repeat(times))
        .join("")
        .slice(0, BYTES_MAX),
      "latin1",
    ),
  );

test("the kernel gives back what an encoder was given", () => {
  fc.assert(
    fc.property(fc.oneof(compressible, fc.uint8Array({ maxLength: BYTES_MAX })), (bytes) => {
      const compressed = snappyjs.compress(Uint8Array.from(bytes));
      expect(decode(compressed)).toEqual(Uint8Array.from(bytes));
      expect(decodeSnappy(compressed, BYTES_MAX)).toEqual(Uint8Array.from(bytes));
    }),
  );
});

/** Pieces of the format, put together at random: nearly right far more often than random bytes are. */
const literal = fc.uint8Array({ minLength: 1, maxLength: 70 }).map((bytes) => {
  const code = bytes.length - 1;
  return code < 60 ? [code << 2, ...bytes] : [60 << 2, code, ...bytes];
});
const copy1 = fc
  .record({ length: fc.integer({ min: 4, max: 11 }), offset: fc.nat(300) })
  .map(({ length, offset }) => [((offset >> 8) << 5) | ((length - 4) << 2) | 1, offset & 255]);
const copy2 = fc
  .record({ length: fc.integer({ min: 1, max: 64 }), offset: fc.nat(400) })
  .map(({ length, offset }) => [((length - 1) << 2) | 2, offset & 255, offset >> 8]);
const copy4 = fc
  .record({ length: fc.integer({ min: 1, max: 64 }), offset: fc.nat(400) })
  .map(({ length, offset }) => [((length - 1) << 2) | 3, offset & 255, offset >> 8, 0, 0]);

test("copies of every kind, also from bytes that they write themselves, decode as the format says", () => {
  const pieces = fc.array(fc.oneof(literal, copy1, copy2, copy4), { maxLength: 30 });
  fc.assert(
    fc.property(literal, pieces, fc.integer({ min: -2, max: 2 }), (first, rest, lie) => {
      const body = [...first, ...rest.flat()];
      // The length that makes it valid, if there is one, is found by asking the twin for each.
      const length = Math.max(0, decodedLength(body) + (lie === 1 ? 1 : lie === -1 ? -1 : 0));
      const input = Uint8Array.from([(length & 127) | 128, length >> 7, ...body]);
      expect(decode(input)).toEqual(twin(input));
    }),
    { numRuns: 2000 },
  );
});

test("a declared length that is too large is refused before anything is written", () => {
  const input = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x61);
  codec.put("output", new Uint8Array(BYTES_MAX).fill(7));
  expect(codec.kernel.snappyDecode(codec.put("input", input), input.length, codec.at("output"), BYTES_MAX)).toBe(-2);
  expect(codec.take("output", BYTES_MAX)).toEqual(new Uint8Array(BYTES_MAX).fill(7));
});

test.each([
  { what: "nothing at all", hex: "" },
  { what: "a length without an end", hex: "8080808080" },
  { what: "a length of more than 32 bits", hex: "ffffffff7f" },
  { what: "a literal that the input cuts short", hex: "04" + "0c" + "616263" },
  { what: "a literal longer than the declared length", hex: "02" + "0c" + "61626364" },
  { what: "a literal of 2^32 bytes", hex: "04" + "fcffffffff" + "61626364" },
  { what: "a copy from before the beginning", hex: "08" + "0c" + "61626364" + "0105" },
  { what: "a copy from itself", hex: "08" + "0c" + "61626364" + "0100" },
  { what: "a copy as the first piece", hex: "04" + "0101" },
  { what: "a copy that the input cuts short", hex: "08" + "0c" + "61626364" + "0e04" },
  { what: "a copy beyond the declared length", hex: "06" + "0c" + "61626364" + "0104" },
  { what: "fewer bytes than declared", hex: "09" + "0c" + "61626364" },
  { what: "bytes behind the end", hex: "00" + "0061" },
])("$what is malformed", ({ hex }) => {
  const input = Buffer.from(hex, "hex");
  expect(decode(input)).toBe(-1);
  expect(() => decodeSnappy(input, BYTES_MAX)).toThrow(/the input ends|the length|a copy|bytes than the length/);
});

function twin(input: Uint8Array): Uint8Array | number {
  try {
    return decodeSnappy(input, BYTES_MAX);
  } catch {
    return -1;
  }
}

/** How many bytes the pieces make, whether or not the copies among them are valid. */
function decodedLength(body: readonly number[]): number {
  let length = 0;
  for (let at = 0; at < body.length;) {
    const tag = body[at]!;
    if ((tag & 3) === 0) {
      const byteCount = (tag >> 2 < 60 ? tag >> 2 : body[at + 1]!) + 1;
      length += byteCount;
      at += byteCount + (tag >> 2 < 60 ? 1 : 2);
    } else if ((tag & 3) === 1) {
      length += ((tag >> 2) & 7) + 4;
      at += 2;
    } else {
      length += (tag >> 2) + 1;
      at += (tag & 3) === 2 ? 3 : 5;
    }
  }
  return length;
}
