/** What is printed of the chart's values: values.yaml with a comment on each, the schema that Helm checks, and the README. */
import { z } from "zod";
import { stringify } from "yaml";
import { valuesSchema, type Values, defaultValues } from "./values.ts";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [key: string]: unknown;
}

const schema = z.toJSONSchema(valuesSchema, { io: "input", target: "draft-7" }) as Schema;

/** Helm hands a chart that is a part of another one the values of all of them. */
const GLOBAL = { type: "object", description: "Values of a chart that this one is a part of" };

export const valuesJsonSchema = (): string =>
  `${JSON.stringify({ ...schema, properties: { ...schema.properties, global: GLOBAL } }, undefined, 2)}\n`;

/** A group whose members are printed one by one; anything else is one value. */
const isGroup = ({ properties }: Schema, value: unknown): boolean =>
  properties !== undefined &&
  Object.values(properties).every((of) => of.description !== undefined) &&
  value !== undefined;

export function valuesYaml(): string {
  const lines = [
    "# Values of the chart, each with its default. Made by `npm run generate` from scripts/deployment/values.ts.",
  ];
  print(schema, defaultValues, "", lines);
  return `${lines.join("\n")}\n`;
}

function print({ properties = {} }: Schema, values: Values | object, indent: string, lines: string[]): void {
  for (const [name, of] of Object.entries(properties)) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    lines.push(`${indent}# ${of.description!}.`);
    if (isGroup(of, value)) {
      lines.push(`${indent}${name}:`);
      print(of, value as object, `${indent}  `, lines);
    } else
      lines.push(
        ...stringify({ [name]: value }, { lineWidth: 0 })
          .trimEnd()
          .split("\n")
          .map((line) => indent + line),
      );
  }
}

function* rows({ properties = {} }: Schema, values: object, path: string): Generator<string> {
  for (const [name, of] of Object.entries(properties)) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (isGroup(of, value)) yield* rows(of, value as object, `${path}${name}.`);
    else yield `| \`${path}${name}\` | \`${JSON.stringify(value)}\` | ${of.description!} |`;
  }
}

export const chartReadme = (): string => `<!-- Made by \`npm run generate\` from the code: change it there. -->
# Chart of the operator

Installs \`tsdb-operator\` and the kind \`TimeSeriesDB\`. It makes no database: those are resources of their own, which stay
when the chart is upgraded or uninstalled.

\`\`\`bash
helm install tsdb-operator charts/tsdb-operator --namespace tsdb-system --create-namespace --wait
kubectl apply -f examples/minimal.yaml
\`\`\`

- The CustomResourceDefinition is one of the templates, so an upgrade of the chart upgrades it. Uninstalling keeps it
  (\`crd.keep\`): deleting it would delete every database.
- \`namespaces\` limits the operator to these, with a Role in each in the place of the ClusterRole. The kind itself is the
  cluster's, so a second installation sets \`crd.create: false\`.
- The operator has no access to Secrets, deletes neither pods nor volumes, and runs under Pod Security \`restricted\`.

## Values

| Key | Default | Meaning |
|---|---|---|
${[...rows(schema, defaultValues, "")].join("\n")}
`;
