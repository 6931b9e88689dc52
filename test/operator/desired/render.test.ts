import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { render } from "../../../src/operator/desired/render.ts";

const facts = {
  installation: "tsdb-system/tsdb-operator",
  defaultImage: "tsdb:1",
  operatorNamespace: undefined,
  hasServiceMonitors: false,
};

const resource = (name: string, spec = "{storage: {size: 1Gi}}") =>
  `apiVersion: tsdb.dev/v1\nkind: TimeSeriesDB\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

test("the objects of all resources of a file are printed, in the namespace default, without an owner that is not there", () => {
  const { text, problems } = render(`${resource("a")}---\n${resource("b")}---\n`, facts);
  expect(problems).toEqual([]);
  const objects = parseAllDocuments(text).map((document) => document.toJS() as { metadata: Record<string, unknown> });
  expect(objects).toHaveLength(12);
  for (const { metadata } of objects) {
    expect(metadata["namespace"]).toBe("default");
    expect(metadata["ownerReferences"]).toBeUndefined();
  }
});

test("what is wrong is said with its document and its field, and the rest is printed", () => {
  const file = [
    resource("a", "{storage: {size: 0}, mode: Fast}"),
    resource("b", "{storage: {size: 1Gi}, podTemplate: {spec: {hostNetwork: true}}}"),
    resource("c"),
    "apiVersion: tsdb.dev/v2\nkind: TimeSeriesDB\nmetadata: {name: d}\nspec: {storage: {size: 1Gi}}\n",
    "just text\n",
    "a: [1\n",
    resource("X.y"),
    resource("e", "{retenton: {time: 9d}, storage: {size: 1Gi, class: x}, podTemplate: {metadata: {labels: {a: b}}}}"),
  ].join("---\n");
  const { text, problems } = render(file, facts);
  expect(parseAllDocuments(text)).toHaveLength(6);
  const begins = [
    "document 1: spec.mode: ",
    "document 1: spec.storage.size: ",
    "document 2: spec.podTemplate.spec.hostNetwork is refused",
    "document 4: apiVersion: ",
    "document 5: ",
    "document 6: ",
    "document 7: metadata.name: ",
    "document 8: spec.retenton: there is no such field; did you mean retention?",
    "document 8: spec.storage.class: there is no such field",
  ];
  expect(problems.map((problem, i) => problem.slice(0, begins[i]?.length))).toEqual(begins);
});

test("what a database is applied together with is left out, and a file without any database is told", () => {
  const volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: d}\n";
  const both = render(`${volume}---\n${resource("a")}`, facts);
  expect([both.problems, parseAllDocuments(both.text).length]).toEqual([[], 6]);
  expect(render(volume, facts)).toEqual({ text: "", problems: ["there is no TimeSeriesDB in it"] });
  expect(render("", facts).problems).toEqual(["there is no TimeSeriesDB in it"]);
});
