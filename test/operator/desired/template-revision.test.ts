import { expect, test } from "vitest";
import { buildTemplate, type TemplateBuilder } from "../../../src/operator/desired/template-revision.ts";
import type { KubeObject } from "../../../src/operator/cluster/objects.ts";

interface Input {
  readonly image: string;
}

const first: TemplateBuilder<Input> = { revision: 1, build: ({ image }) => ({ image }) };
const second: TemplateBuilder<Input> = { revision: 2, build: ({ image }) => ({ image, isBetter: true }) };

/** The StatefulSet that a release with these builders leaves behind. */
function leftBy(builders: readonly TemplateBuilder<Input>[], image: string, before?: KubeObject): KubeObject {
  const { revision, hash } = buildTemplate(builders, { image }, before);
  const annotations = { "tsdb.dev/template-revision": String(revision), "tsdb.dev/template-hash": hash };
  return { apiVersion: "apps/v1", kind: "StatefulSet", metadata: { name: "metrics", annotations } };
}

test("a new release with a new template restarts nobody, and takes it up with a change that restarts them anyhow", () => {
  const old = leftBy([first], "a");
  expect(buildTemplate([first, second], { image: "a" }, old)).toMatchObject({ revision: 1, template: { image: "a" } });
  expect(buildTemplate([first, second], { image: "b" }, old)).toMatchObject({
    revision: 2,
    template: { image: "b", isBetter: true },
  });
});

test("a new database gets the newest template, and keeps it", () => {
  expect(buildTemplate([first, second], { image: "a" }, undefined).revision).toBe(2);
  expect(buildTemplate([first, second], { image: "a" }, leftBy([first, second], "a")).revision).toBe(2);
});

test("a release that does not know the template in use builds the newest that it knows", () => {
  const left = leftBy([first, second], "a");
  expect(buildTemplate([first], { image: "a" }, left).revision).toBe(1);
  expect(buildTemplate([second], { image: "a" }, leftBy([first], "a")).revision).toBe(2);
});

test("the order in which fields are written is no change", () => {
  const turned: TemplateBuilder<Input> = { revision: 1, build: ({ image }) => ({ b: { d: 1, c: 2 }, a: image }) };
  const straight: TemplateBuilder<Input> = { revision: 1, build: ({ image }) => ({ a: image, b: { c: 2, d: 1 } }) };
  expect(buildTemplate([turned], { image: "a" }, undefined).hash).toBe(
    buildTemplate([straight], { image: "a" }, undefined).hash,
  );
});
