/** A field that somebody else keeps changing is repaired three times and then left, so that nobody writes for ever. */
import { expect, test } from "vitest";
import { REPAIRS_MAX, UnstableFields, WINDOW_MS } from "../../../src/operator/reconcile/unstable-fields.ts";
import { ManualClock } from "../../support/clock.ts";

const KEY = "monitoring/metrics Service metrics";
const changed = (...paths: readonly string[]) => ({ isMissing: false, changed: paths, dropped: [] });

function lab() {
  const clock = new ManualClock();
  const fields = new UnstableFields(clock);
  /** One look at an object that differs; whether it was written. */
  const look = (paths: readonly string[], fingerprint = "1") => {
    const verdict = fields.judge(KEY, fingerprint, changed(...paths));
    if (verdict.difference !== undefined) fields.repaired(KEY, fingerprint, verdict.difference);
    return verdict;
  };
  return { clock, fields, look };
}

test("a field is repaired three times in ten minutes, then left and told once", () => {
  const { clock, look } = lab();
  for (let i = 0; i < REPAIRS_MAX; i++) {
    expect(look(["spec.type"])).toEqual({ difference: changed("spec.type"), left: [], newlyLeft: [] });
    clock.advance(1000);
  }
  expect(look(["spec.type"])).toEqual({ difference: undefined, left: ["spec.type"], newlyLeft: ["spec.type"] });
  // For as long as it differs, be it for hours.
  for (let i = 0; i < 100; i++) {
    clock.advance(WINDOW_MS / 2);
    expect(look(["spec.type"])).toEqual({ difference: undefined, left: ["spec.type"], newlyLeft: [] });
  }
});

test("changes that are ten minutes apart are repaired each time", () => {
  const { clock, look } = lab();
  for (let i = 0; i < 20; i++) {
    expect(look(["spec.type"]).difference).toEqual(changed("spec.type"));
    clock.advance(WINDOW_MS / (REPAIRS_MAX - 0.5));
  }
});

test("other fields of the object are repaired all the same, and it counts anew once the other has given in", () => {
  const { clock, fields, look } = lab();
  for (let i = 0; i <= REPAIRS_MAX; i++) look(["spec.type"]);
  expect(look(["spec.type", "spec.ports"])).toMatchObject({ difference: changed("spec.ports"), left: ["spec.type"] });
  clock.advance(WINDOW_MS);
  expect(fields.judge(KEY, "1", undefined)).toEqual({ difference: undefined, left: [], newlyLeft: [] });
  expect(look(["spec.type"]).difference).toEqual(changed("spec.type"));
});

test("a new wish for the object begins anew, and a missing one is always made", () => {
  const { fields, look } = lab();
  for (let i = 0; i <= REPAIRS_MAX; i++) look(["spec.type"]);
  const missing = { isMissing: true, changed: [], dropped: [] };
  expect(fields.judge(KEY, "1", missing).difference).toEqual(missing);
  expect(look(["spec.type"], "2").difference).toEqual(changed("spec.type"));
});
