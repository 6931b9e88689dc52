/** Numbers as bytes and back: Go's varints by BigInts are the measure. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, EndOfBytes } from "../../src/base/byte-reader.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";

const uvarint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...uvarint(value >> 7n)];
const varint = (value: bigint): number[] => uvarint(value >= 0n ? value * 2n : -value * 2n - 1n);

const whole = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.nat(2 ** 31), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1));
const signed = fc.oneof(
  fc.maxSafeInteger().filter((value) => Math.abs(value) < 2 ** 52),
  fc.integer({ min: -300, max: 300 }),
  fc.constantFrom(2 ** 51, -(2 ** 51), 2 ** 51 - 1, 1 - 2 ** 51, 2 ** 52 - 1, 1 - 2 ** 52),
);

test("numbers are written as Go writes them, and read back", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(whole, signed)), (numbers) => {
      const out = new ByteWriter(1);
      for (const [unsigned, either] of numbers) {
        out.uvarint(unsigned);
        out.varint(either);
        out.u64(unsigned);
        out.u32(unsigned % 2 ** 32);
      }
      const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
      const expected = numbers.flatMap(([unsigned, either]) => [
        ...uvarint(BigInt(unsigned)),
        ...varint(BigInt(either)),
        ...word(Math.floor(unsigned / 2 ** 32)),
        ...word(unsigned % 2 ** 32),
        ...word(unsigned % 2 ** 32),
      ]);
      expect([...out.written()]).toEqual(expected);
      const from = new ByteReader(out.written());
      for (const [unsigned, either] of numbers)
        expect([from.uvarint(), from.varint(), from.u64(), from.u32()]).toEqual([
          unsigned,
          either === 0 ? 0 : either,
          unsigned,
          unsigned % 2 ** 32,
        ]);
      expect(from.left).toBe(0);
      expect(() => from.u8()).toThrow(EndOfBytes);
    }),
  );
});

test("numbers of more than 64 bits, and ones that are cut off, are refused", () => {
  expect(() => new ByteReader(new Uint8Array(11).fill(0xff)).uvarint()).toThrow("more than 64 bits");
  expect(() => new ByteReader(Uint8Array.of(0x80, 0x80)).varint()).toThrow(EndOfBytes);
  expect(() => new ByteReader(Uint8Array.of(1, 2, 3)).u32()).toThrow(EndOfBytes);
  expect(() => new ByteReader(Uint8Array.of(1, 2, 3)).bytes(4)).toThrow(EndOfBytes);
});
