/** Flags, variables and defaults of the operator. */
import { Command } from "commander";
import { expect, test } from "vitest";
import { addOptions, readConfig, variableOf } from "../../src/operator/config.ts";

const IMAGE = "registry.example/tsdb:1";
const read = (given: Readonly<Record<string, string | true>> = {}, env: Readonly<Record<string, string>> = {}) =>
  readConfig(given, env, IMAGE);

test("without flags everything has its default", () => {
  expect(read()).toEqual({
    namespaces: undefined,
    defaultImage: IMAGE,
    installation: undefined,
    isLeaderElected: true,
    leaseNamespace: undefined,
    leaseName: "tsdb-operator",
    workers: 8,
    stateIntervalMs: 15_000,
    relistIntervalMs: 600_000,
    metricsListen: { host: "", port: 8080 },
    kubeconfig: undefined,
    context: undefined,
    logLevel: "info",
    logFormat: "json",
  });
});

test("a flag counts before its variable, a variable before the default, and an empty variable is none", () => {
  const env = {
    TSDB_OPERATOR_WORKERS: "3",
    TSDB_OPERATOR_NAMESPACES: "a,b",
    TSDB_OPERATOR_LEASE_NAME: "",
    TSDB_OPERATOR_METRICS_LISTEN: "",
  };
  const config = read({ workers: "5", "leader-elect": "false" }, env);
  expect(config).toMatchObject({
    workers: 5,
    namespaces: ["a", "b"],
    leaseName: "tsdb-operator",
    isLeaderElected: false,
  });
  expect(config.metricsListen).toBeNull();
  expect(read({ "leader-elect": true }).isLeaderElected).toBe(true);
});

test("every mistake is told, with where it stands and what is expected", () => {
  const given = { workers: "0", namespaces: "a,,b", "state-interval": "soon" };
  expect(() => read(given, { TSDB_OPERATOR_LOG_LEVEL: "loud" })).toThrow(
    [
      '--namespaces is "a,,b": expected names of namespaces with commas in between',
      '--workers is "0": expected a whole number from 1 to 256',
      '--state-interval is "soon": expected a duration such as 30d, 720h, 1h30m or 500ms',
      'TSDB_OPERATOR_LOG_LEVEL is "loud": expected one of debug, info, warn, error',
    ].join("\n"),
  );
});

test("no flag makes a variable that Kubernetes makes for a Service named tsdb-operator", () => {
  const flags = addOptions(new Command(), IMAGE).options.map(({ long }) => long!.slice(2));
  expect(flags.length).toBe(Object.keys(read()).length);
  for (const flag of flags) expect(variableOf(flag)).not.toMatch(/^TSDB_OPERATOR_(PORT|SERVICE_)/);
});
