/**
 * The chart's values: the one schema from which values.yaml, values.schema.json and the table in the chart's README are
 * printed. A key that is not here is refused by Helm, so that a mistyped one does not do nothing.
 */
import { z } from "zod";
import { IMAGE_REGISTRY, IMAGE_REPOSITORY, version } from "../../src/operator/release.ts";

const text = (what: string, standard = "") => z.string().default(standard).describe(what);
const flag = (what: string, standard: boolean) => z.boolean().default(standard).describe(what);
/** Of Kubernetes' own; the API server says what may be in it. */
const opaque = (what: string) => z.record(z.string(), z.unknown()).default({}).describe(what);
const opaqueList = (what: string) => z.array(z.record(z.string(), z.unknown())).default([]).describe(what);
const stringMap = (what: string) => z.record(z.string(), z.string()).default({}).describe(what);

/** Prefaulted: what is absent has the defaults of its members. */
const group = <S extends z.ZodRawShape>(what: string, shape: S) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .describe(what);

export const valuesSchema = z.strictObject({
  image: group("The image, which holds the operator and the database", {
    registry: text("Where it is pulled from", IMAGE_REGISTRY),
    repository: text("Its name there", IMAGE_REPOSITORY),
    tag: text(`Its tag; empty: the version of the chart's application, ${version}`),
    digest: text("Its digest, sha256:..., which outdoes the tag"),
    pullPolicy: z
      .enum(["Always", "IfNotPresent", "Never"])
      .default("IfNotPresent")
      .describe("When it is pulled for the operator"),
  }),
  databaseImage: text("Image of a new database that asks for none; empty: the image above"),
  imagePullSecrets: opaqueList(
    "Secrets that the operator's image is pulled with; those of a database are in its own spec",
  ),
  nameOverride: text("Name of everything the chart makes; empty: the release's"),
  namespaces: z
    .array(z.string())
    .default([])
    .describe("Look after the databases of these namespaces alone; empty: of all"),
  installation: text(
    "Id that the operator's objects carry, so that two never fight; empty: NAMESPACE/NAME of the release",
  ),
  replicas: z
    .int()
    .min(0)
    .max(5)
    .default(1)
    .describe("Operators; one acts, the others wait for it to go. 0 stops the operator, and no database"),
  crd: group("The CustomResourceDefinition", {
    create: flag("Install it, and upgrade it with the chart", true),
    keep: flag("Keep it, and with it every database, when the chart is uninstalled", true),
  }),
  rbac: group("Rights", {
    create: flag("Make the roles that the operator needs, and bind them", true),
    aggregate: flag("Let those who may view, edit or administer a namespace do so with its databases", true),
  }),
  serviceAccount: group("The operator's account", {
    create: flag("Make it", true),
    name: text("Its name; empty: the release's"),
    annotations: stringMap("Its annotations"),
  }),
  log: group("The operator's log", {
    level: z
      .enum(["debug", "info", "warn", "error"])
      .default("info")
      .describe("Least serious messages that are logged"),
    format: z.enum(["json", "text"]).default("json").describe("json: one object a line; text: for people"),
  }),
  workers: z.int().min(1).max(256).default(8).describe("Databases that are worked on at once"),
  serviceMonitor: group("Monitoring of the operator by a Prometheus operator", {
    create: flag("Make a ServiceMonitor", false),
    labels: stringMap("Its labels; kube-prometheus-stack looks for `release: NAME`"),
    interval: text("Time between two scrapes", "30s"),
  }),
  resources: z
    .strictObject({
      requests: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
      limits: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    })
    .default({ requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "512Mi" } })
    .describe("CPU and memory of the operator; 1,000 databases fit into the default"),
  containerSecurityContext: z
    .record(z.string(), z.unknown())
    .default({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
    })
    .describe("Rights of the operator's process"),
  podAnnotations: stringMap("Annotations of the operator's pods"),
  podLabels: stringMap("Labels of the operator's pods"),
  commonLabels: stringMap("Labels of everything that the chart makes"),
  nodeSelector: stringMap("Nodes that the operator may run on"),
  tolerations: opaqueList("Taints that it tolerates"),
  affinity: opaque("Where it prefers to run"),
  topologySpreadConstraints: opaqueList("How several are spread"),
  priorityClassName: text("Its priority"),
  extraArgs: z.array(z.string()).default([]).describe("Further flags of tsdb-operator run"),
  extraEnv: opaqueList("Further environment variables"),
});

export type Values = z.output<typeof valuesSchema>;

/** What holds where nothing is set. */
export const defaultValues: Values = valuesSchema.parse({});
