import fc from "fast-check";
import { expect, test } from "vitest";
import { compareLabelSets } from "../../../src/tsdb/model/labels.ts";
import type { LabelSet } from "../../../src/tsdb/model/labels.ts";
import { LabelSets, WITHOUT_METADATA, projection } from "../../../src/tsdb/promql/label-sets.ts";
import { LabelTable } from "../../../src/tsdb/promql/label-table.ts";
import { labelSet } from "../../support/fake-storage.ts";

function internAll(labelSets: readonly LabelSet[]): { sets: LabelSets; ids: Uint32Array } {
  const table = new LabelTable();
  const sets = new LabelSets(table);
  const pairIds = (labels: LabelSet) => Uint32Array.from(labels, ([name, value]) => table.pairId(name, value));
  return { sets, ids: Uint32Array.from(labelSets, (labels) => sets.intern(pairIds(labels))) };
}

const anyLabelSet = fc
  .dictionary(
    fc.constantFrom("__name__", "a", "b", "c", "\u{1f600}", "\uffee"),
    fc.constantFrom("x", "y", "\u{1f600}", "\uffee"),
  )
  .map(labelSet);

test("equal label sets have equal ids, others have not", () => {
  fc.assert(
    fc.property(fc.array(anyLabelSet, { maxLength: 300 }), (given) => {
      const { sets, ids } = internAll(given);
      const texts = given.map((labels) => JSON.stringify(labels));
      expect(new Set(ids).size).toBe(new Set(texts).size);
      ids.forEach((id, i) => expect(sets.labels(id)).toEqual(given[i]));
    }),
  );
});

test("the empty label set is number 0", () => {
  expect(internAll([labelSet({ a: "1" }), []]).ids).toEqual(Uint32Array.of(1, 0));
});

test("a projection keeps what by and without keep, and without never counts the metric", () => {
  const { sets, ids } = internAll([labelSet({ __name__: "m", a: "1", b: "2", __type__: "gauge" })]);
  for (const [kept, expected] of [
    [projection(true, ["a", "missing"]), { a: "1" }],
    [projection(true, []), {}],
    [projection(true, ["__name__"]), { __name__: "m" }],
    [projection(false, ["a"]), { b: "2" }],
    [projection(false, []), { a: "1", b: "2" }],
    [WITHOUT_METADATA, { a: "1", b: "2" }],
  ] as const)
    expect(sets.labels(sets.project(ids, kept)[0]!)).toEqual(labelSet(expected));
});

test("label sets sort by UTF-8 bytes, pair by pair, a prefix first", () => {
  fc.assert(
    fc.property(fc.array(anyLabelSet, { maxLength: 50 }), (given) => {
      const { sets, ids } = internAll(given);
      const sorted = Array.from(sets.sorted(ids), (i) => given[i]!);
      expect(sorted).toEqual(given.toSorted(compareLabelSets));
    }),
  );
});
