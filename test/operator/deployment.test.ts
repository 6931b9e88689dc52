import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { parseAllDocuments } from "yaml";
import { expect, test } from "vitest";
import { addOptions, readConfig } from "../../src/operator/config.ts";
import { MANAGER } from "../../src/operator/desired/metadata.ts";
import { releaseImage, version } from "../../src/operator/release.ts";
import { restrictedViolations } from "./support/pod-security.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");

interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly image: string;
}

interface Deployment {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly [Container] };
    };
  };
}

const { template } = parseAllDocuments(read("deploy/install.yaml"))
  .map((document) => document.toJS() as Deployment)
  .find(({ kind }) => kind === "Deployment")!.spec;
const [container] = template.spec.containers;

test("deploy/install.yaml starts the operator with flags that it has, and values that it takes", () => {
  const [command, ...flags] = container.args;
  expect(command).toBe("run");
  const given = Object.fromEntries(flags.map((flag) => flag.slice(2).split("=") as [string, string]));
  expect(readConfig(given, {}, "registry.example/other:1")).toMatchObject({
    defaultImage: releaseImage,
    leaseName: "tsdb-operator",
    isLeaderElected: true,
  });
  expect(container.image).toBe(releaseImage);
});

test("the chart knows no flag that the operator has not", () => {
  const known = new Set(addOptions(new Command(), releaseImage).options.map(({ long }) => long));
  const used = [...read("charts/tsdb-operator/templates/deployment.yaml").matchAll(/- (--[a-z-]+)=/g)];
  expect(used.length).toBeGreaterThan(4);
  expect(used.map(([, flag]) => flag).filter((flag) => !known.has(flag))).toEqual([]);
});

test("the operator's pod passes Pod Security's restricted, and is let in by databases that have a NetworkPolicy", () => {
  expect(restrictedViolations(template.spec)).toEqual([]);
  expect(template.metadata.labels["app.kubernetes.io/name"]).toBe(MANAGER);
});

test("chart, application and package are of one version", () => {
  const chart = read("charts/tsdb-operator/Chart.yaml");
  expect(chart).toContain(`\nversion: ${version}\n`);
  expect(chart).toContain(`\nappVersion: ${version}\n`);
  expect(read("Dockerfile")).toContain(`ARG VERSION=${version}\n`);
});

test("every base image of the Dockerfile is an argument", () => {
  const bases = [...read("Dockerfile").matchAll(/^FROM (\S+)/gm)].map(([, base]) => base!);
  const stages = new Set([...read("Dockerfile").matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage!));
  expect(bases.filter((base) => !stages.has(base))).toEqual(["${NODE_IMAGE}", "${NODE_IMAGE}", "${RUNTIME_IMAGE}"]);
});
