/** Files of deploy/ and of the chart that are made from code, by path: `npm run generate` writes them, a test compares them. */
import { stringify } from "yaml";
import { customResourceDefinition } from "../../src/operator/api/crd.ts";
import { databaseRules, leaseRules } from "../../src/operator/rbac.ts";
import { chartReadme, valuesJsonSchema, valuesYaml } from "./chart-text.ts";
import { editRules, installManifest, viewRules } from "./install-manifest.ts";

const CHART = "charts/tsdb-operator";
const MADE = "# Made by `npm run generate` from the code: change it there.\n";

export function deploymentFiles(): ReadonlyMap<string, string> {
  const rules = { database: databaseRules, lease: leaseRules, view: viewRules, edit: editRules };
  return new Map([
    ["deploy/install.yaml", installManifest()],
    [`${CHART}/values.yaml`, valuesYaml()],
    [`${CHART}/values.schema.json`, valuesJsonSchema()],
    [`${CHART}/README.md`, chartReadme()],
    // Not below templates/: what is in them is read, and changed, by the templates.
    [`${CHART}/files/crd.yaml`, MADE + stringify(customResourceDefinition(), { lineWidth: 0 })],
    [`${CHART}/files/rules.yaml`, MADE + stringify(rules, { lineWidth: 0, aliasDuplicateObjects: false })],
  ]);
}
