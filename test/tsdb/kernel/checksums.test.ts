/** CRC32C, SipHash and UTF-8: small functions of bytes, against published vectors and against other implementations. */
import { isUtf8 } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../../src/base/crc32c.ts";
import { CodecKernel } from "../../support/codec-kernel.ts";
import { siphash128 } from "../../support/siphash-twin.ts";

const codec = new CodecKernel({ input: 2048, output: 16 });
const ascending = Uint8Array.from({ length: 64 }, (_, i) => i);

const crcOf = (bytes: Uint8Array, seed = 0): number =>
  codec.kernel.crc32c(codec.put("input", bytes), bytes.length, seed) >>> 0;

test.each([
  { what: "32 zeros", bytes: new Uint8Array(32), crc: 0x8a91_36aa },
  { what: "32 bytes of ones", bytes: new Uint8Array(32).fill(0xff), crc: 0x62a8_ab43 },
  { what: "0 to 31", bytes: ascending.subarray(0, 32), crc: 0x46dd_794e },
  { what: "31 to 0", bytes: ascending.slice(0, 32).reverse(), crc: 0x113f_db5c },
  { what: "123456789", bytes: Buffer.from("123456789"), crc: 0xe306_9283 },
  { what: "nothing", bytes: new Uint8Array(0), crc: 0 },
])("CRC32C of $what is as RFC 3720 says", ({ bytes, crc }) => {
  expect(crcOf(bytes)).toBe(crc);
});

test("CRC32C of any bytes, in one piece or in two, is that of the host", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 600 }), (head, tail) => {
      const whole = Buffer.concat([head, tail]);
      expect(crcOf(whole)).toBe(crc32c(whole));
      expect(crcOf(tail, crcOf(head))).toBe(crcOf(whole));
    }),
  );
});

test("the twin of SipHash gives the published values of SipHash-2-4 with 128 bits", () => {
  // vectors_sip128 of the reference implementation: key 00 to 0f, inputs of 0, 1, 2 and 3 bytes counting from 0.
  const key = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
  const published = [
    "a3817f04ba25a8e66df67214c7550293",
    "da87c1d86b99af44347659119b22fc45",
    "8177228da4a45dc7fca38bdef60affe4",
    "9c70b60c5267a94e5f33b6b02985ed51",
  ];
  published.forEach((hex, length) => {
    const [low, high] = siphash128(key, ascending.subarray(0, length), { perWord: 2, atEnd: 4 });
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(low, 0);
    bytes.writeBigUInt64LE(high, 8);
    expect(bytes.toString("hex")).toBe(hex);
  });
});

test("the kernel's SipHash-1-3 is the twin's, for any key and length", () => {
  const word = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(word, word, fc.uint8Array({ maxLength: 300 }), (key0, key1, bytes) => {
      codec.kernel.siphash128(key0, key1, codec.put("input", bytes), bytes.length, codec.at("output"));
      codec.checkGuards();
      const hash = Buffer.from(codec.take("output", 16));
      const [low, high] = siphash128([key0, key1], bytes, { perWord: 1, atEnd: 3 });
      expect([hash.readBigUInt64LE(0), hash.readBigUInt64LE(8)]).toEqual([low, high]);
    }),
  );
});

test("the kernel calls bytes UTF-8 when a strict decoder does", () => {
  const edges = [
    "00",
    "7f",
    "80",
    "bf",
    "c080",
    "c1bf",
    "c280",
    "dfbf",
    "e08080",
    "e09fbf",
    "e0a080",
    "ed9fbf",
    "eda080",
    "edbfbf",
    "ee8080",
    "efbfbf",
    "f0808080",
    "f08fbfbf",
    "f0908080",
    "f48fbfbf",
    "f4908080",
    "f5808080",
    "ff",
    "c2",
    "e0a0",
    "f09080",
  ].map((hex) => Buffer.from(hex, "hex"));
  // Of one to four bytes, each as often.
  const codePoint = fc
    .constantFrom(0x80, 0x800, 0x1_0000, 0x11_0000)
    .chain((max) => fc.nat(max - 1))
    .filter((point) => point < 0xd800 || point > 0xdfff);
  const text: fc.Arbitrary<Uint8Array> = fc.oneof(
    fc.array(codePoint, { maxLength: 8 }).map((points) => Buffer.from(String.fromCodePoint(...points))),
    fc.constantFrom(...edges),
    fc.constant(Buffer.from("plain ascii, eight bytes and more")),
    fc.uint8Array({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 4 }), (parts) => {
      const bytes = Buffer.concat(parts);
      const found = codec.kernel.isValidUtf8(codec.put("input", bytes), bytes.length) !== 0;
      expect(found).toBe(isUtf8(bytes));
    }),
    { numRuns: 300, examples: edges.map((edge): [Buffer<ArrayBuffer>[]] => [[edge]]) },
  );
});
