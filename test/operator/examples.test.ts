import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import { expect, test } from "vitest";
import { customResourceDefinition } from "../../src/operator/api/crd.ts";
import { KIND, specSchema } from "../../src/operator/api/schema.ts";
import { render } from "../../src/operator/desired/render.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");
const names = readdirSync(`${root}examples`).filter((name) => name.endsWith(".yaml"));

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

const resourcesOf = (name: string): Resource[] =>
  parseAllDocuments(read(`examples/${name}`)).map((document) => document.toJS() as Resource);
const databasesOf = (name: string): Resource[] => resourcesOf(name).filter(({ kind }) => kind === KIND);

const facts = {
  installation: "tsdb-system/tsdb-operator",
  defaultImage: "ghcr.io/tsdb-dev/tsdb:0.1.0",
  operatorNamespace: "tsdb-system",
  hasServiceMonitors: true,
};

test.each(names)("examples/%s is a database that the operator takes, and says first what it shows", (name) => {
  expect(read(`examples/${name}`)).toMatch(/^# [A-Z]/);
  const databases = databasesOf(name);
  expect(databases).toHaveLength(1);
  expect(render(JSON.stringify(databases[0]), facts).problems).toEqual([]);
});

test.each(names)("examples/%s says nothing that is not a field", (name) => {
  for (const { spec } of databasesOf(name)) {
    const taken = specSchema.parse(spec);
    // The schema drops what it does not know, as the API server would.
    expect(taken).toMatchObject(spec);
  }
});

test("the examples may be applied to one namespace all together", () => {
  const databases = names.flatMap((name) => databasesOf(name).map(({ metadata }) => metadata.name));
  expect(databases).toEqual([...new Set(databases)]);
});

test("examples/minimal.yaml is as small as it can be", () => {
  expect(databasesOf("minimal.yaml")[0]!.spec).toEqual({ storage: { size: "10Gi" } });
});

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Paths of the fields that can be set, those left out that are refused for now. */
function fieldsOf(schema: Schema, path = ""): string[] {
  if (schema.description?.startsWith("Not supported yet") === true) return [];
  if (schema.properties === undefined) return [path];
  const fields = Object.entries(schema.properties).flatMap(([name, of]) => fieldsOf(of, `${path}.${name}`));
  return fields;
}

test("examples/full.yaml has every field", () => {
  const crd = customResourceDefinition() as {
    readonly spec: {
      readonly versions: readonly {
        readonly schema: { readonly openAPIV3Schema: { readonly properties: { readonly spec: Schema } } };
      }[];
    };
  };
  const { spec } = databasesOf("full.yaml")[0]!;
  const missing = fieldsOf(crd.spec.versions[0]!.schema.openAPIV3Schema.properties.spec).filter((path) => {
    const value = path
      .split(".")
      .slice(1)
      .reduce<unknown>((at, name) => (at as Readonly<Record<string, unknown>> | undefined)?.[name], spec);
    return value === undefined;
  });
  expect(missing, "set these in examples/full.yaml").toEqual([]);
});

test("the README of the examples lists each of them, and no others", () => {
  const listed = [...read("examples/README.md").matchAll(/\]\(([^)]+\.ya?ml)\)/g)].map(([, path]) => path!);
  const there = [...names, ...readdirSync(`${root}examples/with`).map((name) => `with/${name}`)];
  expect(listed.toSorted()).toEqual(there.toSorted());
});

test("what the examples for other programs say of the database is so", () => {
  const { metadata } = databasesOf("minimal.yaml")[0]!;
  const service = `http://${metadata.name}.default.svc:8080`;
  expect(read("examples/with/prometheus.yml")).toContain(`${service}/api/v1/write`);
  expect(read("examples/with/prometheus-operator.yaml")).toContain(`${service}/api/v1/write`);
  const grafana = parse(read("examples/with/grafana.yaml")) as { readonly data: Readonly<Record<string, string>> };
  const { datasources } = parse(grafana.data["tsdb.yaml"]!) as { readonly datasources: readonly { url: string }[] };
  expect(datasources.map(({ url }) => url)).toEqual([service]);
});
