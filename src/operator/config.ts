/**
 * Every setting of `tsdb-operator run`, once: its flag, its default, what it does. The variable of a flag follows from it:
 * --lease-name is TSDB_OPERATOR_LEASE_NAME. No flag may be called `port`, `service-...` or `port-...`: a Service named
 * tsdb-operator puts such variables into the environment of every pod of its namespace.
 */
import { Option, type Command } from "commander";
import { z } from "zod";
import { TsdbError } from "../base/errors.ts";
import {
  directory,
  durationMs,
  oneOf,
  optionalListenAddress,
  trueOrFalse,
  wholeNumber,
  type Kind,
} from "../tsdb/config/kinds.ts";

interface Setting<T> {
  readonly flag: string;
  readonly kind: Kind<T>;
  /** As a user would write it; undefined: there is none. */
  readonly default: string | undefined;
  readonly description: string;
}

const named = (placeholder: string, expected: string, pattern: RegExp): Kind<string> => ({
  placeholder,
  expected,
  schema: z.string().regex(pattern),
  acceptsEmpty: false,
  format: (value) => value,
});
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const namespace = named("NAMESPACE", "the name of a namespace", DNS_LABEL);
const namespaces: Kind<readonly string[]> = {
  placeholder: "NAMESPACES",
  expected: "names of namespaces with commas in between",
  schema: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.string().regex(DNS_LABEL))),
  acceptsEmpty: false,
  format: (names) => names.join(","),
};
const image = named("IMAGE", "an image, such as registry.example/tsdb:1.2.3", /^[^\s]{1,512}$/);
const word = named("NAME", "a name", /^[^\s\p{Cc}]{1,253}$/u);

const setting = <T, D extends string | undefined>(
  flag: string,
  kind: Kind<T>,
  standard: D,
  description: string,
): Setting<T> & { readonly default: D } => ({ flag, kind, default: standard, description });

/** @param defaultImage of the database, as it was released together with this operator */
const settingsFor = (defaultImage: string) =>
  ({
    namespaces: setting(
      "namespaces",
      namespaces,
      undefined,
      "Look after the databases of these namespaces alone, with commas in between; absent: of all",
    ),
    defaultImage: setting(
      "default-image",
      image,
      defaultImage,
      "Image of a new database that asks for none; one that exists keeps the image it has",
    ),
    installation: setting(
      "installation",
      word,
      undefined,
      "Id of this installation, which its objects carry so that two never fight; absent: LEASE-NAMESPACE/LEASE-NAME",
    ),
    isLeaderElected: setting(
      "leader-elect",
      trueOrFalse,
      "true",
      "Act only while holding the lease, so that several may run and one acts",
    ),
    leaseNamespace: setting(
      "lease-namespace",
      namespace,
      undefined,
      "Namespace of the lease; absent: that of the operator's pod, elsewhere tsdb-system",
    ),
    leaseName: setting("lease-name", word, "tsdb-operator", "Name of the lease"),
    workers: setting("workers", wholeNumber(1, 256), "8", "Databases that are worked on at once"),
    stateIntervalMs: setting(
      "state-interval",
      durationMs,
      "15s",
      "Time between two questions to each member how it is (/-/state on port 8081)",
    ),
    relistIntervalMs: setting(
      "relist-interval",
      durationMs,
      "10m",
      "Time between two lists of everything, which find what a watch has failed to tell, and two looks at each database",
    ),
    metricsListen: setting(
      "metrics-listen",
      optionalListenAddress,
      ":8080",
      'Address that serves /metrics, /healthz and /readyz; "" disables it',
    ),
    kubeconfig: setting(
      "kubeconfig",
      directory,
      undefined,
      "Kubeconfig file; absent: KUBECONFIG, else ~/.kube/config, else the pod's service account",
    ),
    context: setting("context", word, undefined, "Context of the kubeconfig; absent: its current one"),
    logLevel: setting(
      "log-level",
      oneOf("debug", "info", "warn", "error"),
      "info",
      "Least serious messages that are logged",
    ),
    logFormat: setting("log-format", oneOf("json", "text"), "json", "`json`: one object a line; `text`: for people"),
  }) as const;

type Settings = ReturnType<typeof settingsFor>;
type ValueOf<S> = S extends Setting<infer T> ? (S["default"] extends string ? T : T | undefined) : never;
export type OperatorConfig = { readonly [Name in keyof Settings]: ValueOf<Settings[Name]> };

/** The environment variable of a flag. */
export const variableOf = (flag: string): string => `TSDB_OPERATOR_${flag.toUpperCase().replaceAll("-", "_")}`;

export function addOptions(command: Command, defaultImage: string): Command {
  for (const { flag, kind, default: standard, description } of Object.values<Setting<unknown>>(
    settingsFor(defaultImage),
  )) {
    const given = standard === undefined ? "" : `default: ${standard}; `;
    const value = kind === trueOrFalse ? `[${kind.placeholder}]` : `<${kind.placeholder}>`;
    command.addOption(new Option(`--${flag} ${value}`, `${description} (${given}env ${variableOf(flag)})`));
  }
  return command;
}

/**
 * A setting is taken from its flag, else its variable, else its default.
 * @param given by flag, without dashes; a switch without a value is `true`
 * @throws TsdbError BAD_CONFIG with every problem found, one a line
 */
export function readConfig(
  given: Readonly<Record<string, string | true | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
  defaultImage: string,
): OperatorConfig {
  const problems: string[] = [];
  const values = Object.entries<Setting<unknown>>(settingsFor(defaultImage)).map(([name, of]) => {
    const { flag, kind, default: standard } = of;
    const variable = variableOf(flag);
    const ofVariable = env[variable] === "" && !kind.acceptsEmpty ? undefined : env[variable];
    const text = given[flag] ?? ofVariable ?? standard;
    if (text === undefined) return [name, undefined] as const;
    const parsed = kind.schema.safeParse(String(text));
    const where = given[flag] === undefined ? variable : `--${flag}`;
    if (!parsed.success) problems.push(`${where} is ${JSON.stringify(text)}: expected ${kind.expected}`);
    return [name, parsed.data] as const;
  });
  if (problems.length > 0) throw new TsdbError("BAD_CONFIG", problems.join("\n"));
  return Object.fromEntries(values) as unknown as OperatorConfig;
}
