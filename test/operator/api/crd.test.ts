import { expect, test } from "vitest";
import { stringify } from "yaml";
import { customResourceDefinition } from "../../../src/operator/api/crd.ts";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: unknown;
  readonly [key: string]: unknown;
}

const definition = customResourceDefinition() as {
  readonly spec: {
    readonly versions: readonly [
      {
        readonly schema: { readonly openAPIV3Schema: Schema };
        readonly subresources: object;
        readonly additionalPrinterColumns: readonly { readonly name: string }[];
      },
    ];
  };
};
const [version] = definition.spec.versions;
const root = version.schema.openAPIV3Schema;

function* fieldsOf({ properties = {}, items }: Schema, path: string): Generator<readonly [string, Schema]> {
  for (const [name, schema] of Object.entries(properties)) {
    yield [`${path}${name}`, schema];
    yield* fieldsOf(schema, `${path}${name}.`);
  }
  if (items !== undefined) yield* fieldsOf(items, `${path.slice(0, -1)}[].`);
}

test("`kubectl explain` has something to say about every field", () => {
  const silent = [...fieldsOf(root, "")].filter(([path, { description }]) => path !== "metadata" && !description);
  expect(silent.map(([path]) => path)).toEqual([]);
});

test("the definition is small enough for an annotation that holds all of it", () => {
  expect(stringify(definition).length).toBeLessThan(60_000);
  expect(JSON.stringify(definition).length).toBeLessThan(60_000);
});

test("only what cannot be pruned away is left to be anything, and all else has a type", () => {
  const open = [...fieldsOf(root, "")].filter(([, schema]) => schema["x-kubernetes-preserve-unknown-fields"] === true);
  expect(open.map(([path]) => path)).toEqual([
    "spec.storage.autoGrow",
    "spec.tls",
    "spec.auth",
    "spec.restore",
    "spec.podTemplate",
  ]);
  const untyped = [...fieldsOf(root, "")].filter(
    ([, schema]) => schema.type === undefined && schema["x-kubernetes-int-or-string"] !== true,
  );
  expect(untyped).toEqual([]);
});

test("what is refused says what to do", () => {
  const messages = [...fieldsOf({ properties: { root } }, "")].flatMap(([, schema]) =>
    ((schema["x-kubernetes-validations"] ?? []) as readonly { readonly message: string }[]).map(
      ({ message }) => message,
    ),
  );
  expect(messages.length).toBeGreaterThanOrEqual(15);
  for (const message of messages) expect(message).toMatch(/must|remove|set|make/);
});

test("there are columns, a status and a scale for those who look from outside", () => {
  expect(version.subresources).toEqual({
    status: {},
    scale: {
      specReplicasPath: ".spec.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.selector",
    },
  });
  expect(version.additionalPrinterColumns.map(({ name }) => name)).toEqual([
    "Phase",
    "Ready",
    "Replicas",
    "Size",
    "Image",
    "Age",
  ]);
});
