/** Many samples compared. */
import { expect } from "vitest";
import type { TwinSample } from "./remote-write-twin.ts";

/** As toEqual, which takes its time over many small objects. */
export function expectSame(found: readonly TwinSample[], expected: readonly TwinSample[]): void {
  const isSame =
    found.length === expected.length &&
    found.every(
      ({ timestampMs, value }, i) => timestampMs === expected[i]!.timestampMs && value === expected[i]!.value,
    );
  if (!isSame) expect(found).toEqual(expected);
}
