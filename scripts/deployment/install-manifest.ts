/**
 * deploy/install.yaml: the operator without Helm, for all namespaces. The chart with its default values makes the same
 * objects; a test holds the two together.
 */
import { stringify } from "yaml";
import { customResourceDefinition } from "../../src/operator/api/crd.ts";
import { GROUP, PLURAL } from "../../src/operator/api/schema.ts";
import { databaseRules, leaseRules } from "../../src/operator/rbac.ts";
import { releaseImage } from "../../src/operator/release.ts";
import { defaultValues } from "./values.ts";

const NAME = "tsdb-operator";
const NAMESPACE = "tsdb-system";
/** Databases that have a NetworkPolicy let pods in by this label. */
const labels = { "app.kubernetes.io/name": NAME };

const HEADER = `# The operator, in namespace ${NAMESPACE}, for the databases of all namespaces. Made by \`npm run generate\`.
#   kubectl apply --server-side -f deploy/install.yaml
`;

export const installManifest = (): string =>
  HEADER +
  objects()
    .map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }))
    .join("---\n");

/** Rights of people: whoever may view or edit a namespace may do so with its databases. */
export const viewRules = [{ apiGroups: [GROUP], resources: [PLURAL], verbs: ["get", "list", "watch"] }];
export const editRules = [
  { apiGroups: [GROUP], resources: [PLURAL], verbs: ["create", "delete", "deletecollection", "patch", "update"] },
];

const RBAC = "rbac.authorization.k8s.io";

const cluster = (apiVersion: string, kind: string, name: string, rest: object) => ({
  apiVersion,
  kind,
  metadata: { name, labels },
  ...rest,
});
const namespaced = (apiVersion: string, kind: string, name: string, rest: object) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE, labels },
  ...rest,
});
const aggregated = (name: string, to: readonly string[], rules: readonly object[]) => ({
  apiVersion: `${RBAC}/v1`,
  kind: "ClusterRole",
  metadata: {
    name: `${NAME}-${name}`,
    labels: { ...labels, ...Object.fromEntries(to.map((role) => [`${RBAC}/aggregate-to-${role}`, "true"])) },
  },
  rules,
});
const binding = (kind: "ClusterRole" | "Role") => ({
  roleRef: { apiGroup: RBAC, kind, name: NAME },
  subjects: [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }],
});

interface Labelled {
  readonly metadata: object;
}
const labelled = (object: Labelled) => ({ ...object, metadata: { ...object.metadata, labels } });

function objects(): readonly object[] {
  return [
    {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: NAMESPACE, labels: { ...labels, "pod-security.kubernetes.io/enforce": "restricted" } },
    },
    labelled(customResourceDefinition() as Labelled),
    namespaced("v1", "ServiceAccount", NAME, { automountServiceAccountToken: false }),
    cluster(`${RBAC}/v1`, "ClusterRole", NAME, { rules: databaseRules }),
    aggregated("view", ["view"], viewRules),
    aggregated("edit", ["edit", "admin"], editRules),
    cluster(`${RBAC}/v1`, "ClusterRoleBinding", NAME, binding("ClusterRole")),
    namespaced(`${RBAC}/v1`, "Role", NAME, { rules: leaseRules }),
    namespaced(`${RBAC}/v1`, "RoleBinding", NAME, binding("Role")),
    namespaced("v1", "Service", NAME, {
      spec: {
        type: "ClusterIP",
        selector: labels,
        ports: [{ name: "metrics", port: 8080, targetPort: "metrics", protocol: "TCP" }],
      },
    }),
    namespaced("apps/v1", "Deployment", NAME, { spec: deploymentSpec() }),
  ];
}

const probe = (path: string, rest: object) => ({ httpGet: { path, port: "metrics" }, ...rest });

const deploymentSpec = () => ({
  replicas: defaultValues.replicas,
  selector: { matchLabels: labels },
  template: {
    metadata: { labels },
    spec: {
      serviceAccountName: NAME,
      automountServiceAccountToken: true,
      enableServiceLinks: false,
      // Time to finish what it is at, and to give the lease back.
      terminationGracePeriodSeconds: 30,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65_532,
        runAsGroup: 65_532,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "operator",
          image: releaseImage,
          imagePullPolicy: defaultValues.image.pullPolicy,
          command: ["tsdb-operator"],
          args: [
            "run",
            `--default-image=${releaseImage}`,
            `--lease-name=${NAME}`,
            `--workers=${defaultValues.workers}`,
            `--log-level=${defaultValues.log.level}`,
            `--log-format=${defaultValues.log.format}`,
          ],
          ports: [{ name: "metrics", containerPort: 8080, protocol: "TCP" }],
          startupProbe: probe("/healthz", { periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 }),
          livenessProbe: probe("/healthz", { periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3 }),
          readinessProbe: probe("/readyz", { periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 }),
          resources: defaultValues.resources,
          securityContext: defaultValues.containerSecurityContext,
          terminationMessagePolicy: "FallbackToLogsOnError",
        },
      ],
    },
  },
});
