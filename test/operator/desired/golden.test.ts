import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { render } from "../../../src/operator/desired/render.ts";
import { expectGolden } from "../../support/golden.ts";

const dir = fileURLToPath(new URL("../../testdata/operator/desired", import.meta.url));
const facts = {
  installation: "tsdb-system/tsdb-operator",
  defaultImage: "registry.example/tsdb:1.0.0",
  operatorNamespace: "tsdb-system",
  hasServiceMonitors: true,
};

// A release that changes the pods of an unchanged database restarts all of them: a diff in these files is looked at twice.
test.each(readdirSync(dir).filter((name) => name.endsWith(".in.yaml")))(
  "the objects of %s are as they were",
  (name) => {
    const { text, problems } = render(readFileSync(`${dir}/${name}`, "utf8"), facts);
    expect(problems).toEqual([]);
    expectGolden(`operator/desired/${name.replace(".in.yaml", ".out.yaml")}`, text);
  },
);
