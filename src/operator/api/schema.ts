/**
 * What a TimeSeriesDB is: the one schema that everything else is made from. The CRD is printed from it (crd.ts), the operator
 * reads resources through it, examples and documentation are tested against it.
 *
 * Absent means default; an empty string is refused except in `storage.className`, where it means "no class", as in
 * Kubernetes. v1 only ever grows: a field that was released keeps its meaning, and what a newer operator adds an older one
 * ignores.
 */
import { z } from "zod";
import { engineConfig } from "./engine-config.ts";
import { parseQuantity, QUANTITY_PATTERN } from "./quantity.ts";
import { spelt, withRules, withTransitions } from "./rules.ts";

export const GROUP = "tsdb.dev";
export const VERSION = "v1";
export const KIND = "TimeSeriesDB";
export const PLURAL = "timeseriesdbs";

/** Leaves room for what is appended to it: 63 for a label, 52 for a CronJob. */
export const NAME_LENGTH_MAX = 40;
export const NAME_PATTERN = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const text = (lengthMax: number) => z.string().min(1).max(lengthMax);

/** Of text that may have any characters: the API server counts them whole, and JavaScript counts halves of some. */
const anyText = (lengthMax: number) =>
  z
    .string()
    .refine((value) => Array.from(value).length <= lengthMax, `must have at most ${lengthMax} characters`)
    .meta({ maxLength: lengthMax });
/** Of an object in the cluster. */
const objectName = text(253).regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
const annotations = z.record(z.string(), anyText(4096));
const labels = z.record(
  z.string(),
  z
    .string()
    .max(63)
    .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/),
);

/** Anything of Kubernetes' own that is passed on as it is. */
const opaque = z.looseObject({}).meta({ "x-kubernetes-preserve-unknown-fields": true });

const quantity = spelt(z.string().min(1).max(32), QUANTITY_PATTERN, "must be a quantity such as 10Gi or 500Mi");

/** As Kubernetes writes resources: `cpu: 1` and `cpu: 500m` are both common. */
const numberOrQuantity = z
  .union([quantity, z.number().int().min(0)])
  .meta({ "x-kubernetes-int-or-string": true, pattern: QUANTITY_PATTERN.source, minimum: 0 });

export const DURATION_PATTERN =
  /^([0-9]{1,2}y)?([0-9]{1,3}w)?([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,12}ms)?$/;
const durationText = z.string().min(2).max(32);
const duration = withRules(spelt(durationText, DURATION_PATTERN, "must be a duration such as 30d, 12h or 1d12h"), {
  cel: "self.matches('[1-9]')",
  message: "must be longer than 0",
  holds: (value) => /[1-9]/.test(value),
});

const isZero = (value: string): boolean => parseQuantity(value) === 0n;

const storage = withTransitions(
  z
    .object({
      size: withTransitions(
        withRules(
          quantity.describe(
            "Size of each member's volume. May grow, without a restart if the class can, and never shrink.",
          ),
          {
            cel: "!isQuantity(self) || quantity(self).isGreaterThan(quantity('0'))",
            message: "must be larger than 0",
            holds: (value) => !isZero(value),
          },
        ),
        {
          cel: "!isQuantity(self) || quantity(self).compareTo(quantity(oldSelf)) >= 0",
          message: "a volume cannot shrink; make a new TimeSeriesDB with the size you want and copy the data over",
        },
      ),
      className: z
        .string()
        .max(253)
        .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/)
        .optional()
        .describe('StorageClass of the volumes; absent: the cluster\'s default; "": none, for volumes made by hand.'),
      whenDeleted: z
        .enum(["Retain", "Delete"])
        .default("Retain")
        .describe(
          "What becomes of the volumes when this resource is deleted. A new one of the same name takes retained ones over.",
        ),
      autoGrow: opaque.optional().describe("Not supported yet."),
    })
    .describe("The volume of each member."),
  {
    cel: "has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)",
    message:
      "the class of existing volumes cannot be changed; make a new TimeSeriesDB with the class you want and copy the data over",
  },
);

const retention = z
  .object({
    time: duration.optional().describe("Samples older than this are deleted, such as 30d or 1y. Default: 30d."),
    size: withRules(
      spelt(
        z.string().min(2).max(32),
        /^([1-9][0-9]?%|\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[kMGTPE])?)$/,
        "must be a quantity such as 50Gi, or per cent of the volume such as 80%",
      ),
      {
        cel: "!isQuantity(self) || quantity(self).isGreaterThan(quantity('0'))",
        message: "must be larger than 0",
        holds: (value) => !isZero(value),
      },
    )
      .optional()
      .describe(
        "The oldest samples are deleted when blocks take more than this: a quantity, or per cent of the volume. Default: 80%.",
      ),
  })
  .describe("How long samples are kept: until either limit is reached. Takes effect without a restart.");

/** A list whose items are told apart by a key, as in the pod that it becomes a part of: the server refuses a key twice. */
function keyedList<S extends z.ZodType<readonly object[]>>(schema: S, key: string): S {
  const checked = schema.superRefine((items, context) => {
    const keys = items.map((item) => (item as Readonly<Record<string, unknown>>)[key]);
    if (new Set(keys).size < keys.length) context.addIssue({ code: "custom", message: `must have each ${key} once` });
  });
  return checked.meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key] });
}

/** What is planned, has its place in the API, and is refused until it exists. */
const later = (what: string) => opaque.optional().describe(`Not supported yet: ${what}.`);

const notYet = (field: string, what: string) => ({
  cel: `!has(self.${field})`,
  message: `${what} not supported yet; remove spec.${field}`,
  holds: (spec: object) => (spec as Readonly<Record<string, unknown>>)[field] === undefined,
});

export const specSchema = withRules(
  z
    .object({
      image: text(512)
        .regex(/^[!-~]+$/)
        .optional()
        .describe("Image of the database. Absent: what runs now, or the operator's default for a new one."),
      imagePullSecrets: keyedList(
        z.array(z.object({ name: objectName.describe("Of a Secret in this namespace.") })).max(16),
        "name",
      )
        .optional()
        .describe("Secrets that the image is pulled with."),
      replicas: z
        .number()
        .int()
        .min(1)
        .max(32)
        .default(1)
        .describe("Members, each with a volume of its own. More than one is not supported yet."),
      mode: z
        .enum(["Running", "ReadOnly", "Stopped"])
        .default("Running")
        .describe("ReadOnly: queries are answered and writes refused. Stopped: no pod runs, the volume stays."),
      paused: z.boolean().default(false).describe("The operator looks on, and writes nothing but the status."),
      storage,
      retention: retention.optional(),
      resources: z
        .object({
          requests: z.record(z.string(), numberOrQuantity).optional().describe("What the scheduler sets aside."),
          limits: z.record(z.string(), numberOrQuantity).optional().describe("What a pod may use at most."),
        })
        .optional()
        .describe("CPU and memory of each member."),
      config: engineConfig.optional(),
      tls: later("TLS on the main port"),
      auth: later("authentication on the main port"),
      service: z
        .object({
          type: z.enum(["ClusterIP", "NodePort", "LoadBalancer"]).default("ClusterIP").describe("Type of the Service."),
          annotations: annotations.optional().describe("Annotations of the Service."),
        })
        .optional()
        .describe("The Service that clients use."),
      serviceAccount: z
        .object({ annotations: annotations.optional().describe("Annotations, such as those of cloud identities.") })
        .optional()
        .describe("The pods' ServiceAccount. It has no rights in the cluster."),
      network: z
        .object({
          allowFrom: z
            .array(opaque)
            .max(64)
            .optional()
            .describe(
              "NetworkPolicyPeers that may reach the API. Absent: no NetworkPolicy; []: nobody but the operator.",
            ),
        })
        .optional()
        .describe("Who may reach the database."),
      monitoring: z
        .object({
          serviceMonitor: z
            .boolean()
            .default(false)
            .describe("Make a ServiceMonitor, when the cluster knows that kind."),
          labels: labels.optional().describe("Labels of the ServiceMonitor, for the Prometheus that is to find it."),
        })
        .optional()
        .describe("Monitoring of the database by a Prometheus operator."),
      backups: z.array(opaque).max(8).optional().describe("Not supported yet: scheduled backups."),
      restore: later("restoring a backup"),
      debug: z
        .object({
          hold: z.array(z.number().int().min(0)).max(32).optional().describe("Not supported yet: members to hold."),
        })
        .optional()
        .describe("For looking at a member that misbehaves."),
      podTemplate: opaque
        .optional()
        .describe(
          "Merged over the pods' template: containers, volumes and env by name, mounts by path, other lists replaced; null removes.",
        ),
    })
    .describe("What is wanted."),
  {
    cel: "self.replicas <= 1",
    message: "more than one member is not supported yet; set spec.replicas to 1",
    holds: ({ replicas }) => replicas <= 1,
  },
  notYet("tls", "TLS is"),
  notYet("auth", "authentication is"),
  notYet("backups", "backups are"),
  notYet("restore", "restoring is"),
  {
    cel: "!has(self.storage.autoGrow)",
    message: "automatic growth is not supported yet; remove spec.storage.autoGrow",
    holds: (spec) => spec.storage.autoGrow === undefined,
  },
  {
    cel: "!has(self.debug) || !has(self.debug.hold)",
    message: "holding members is not supported yet; remove spec.debug.hold",
    holds: ({ debug }) => debug?.hold === undefined,
  },
);

export type Spec = z.output<typeof specSchema>;
