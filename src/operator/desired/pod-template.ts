/** The pods' template before anything of the user's is merged over it. Passes Pod Security's `restricted`. */
import type { Database } from "./facts.ts";
import type { EngineFile } from "./engine-file.ts";
import { CONFIG_ANNOTATION, labelsOf, RESTART_ANNOTATION } from "./metadata.ts";
import {
  CONFIG_FILE,
  CONFIG_MOUNT,
  CONFIG_VOLUME,
  configMapName,
  CONTAINER,
  DATA_MOUNT,
  DATA_VOLUME,
  HTTP_PORT,
  PROBE_PORT,
  serviceAccountName,
  USER_ID,
} from "./names.ts";

export interface TemplateInput {
  readonly database: Database;
  readonly image: string;
  readonly engine: EngineFile;
  readonly restart: string | undefined;
}

/** Time to answer what is in flight and to bring the log to the disk. */
const GRACE_SECONDS = 120;

/**
 * Probes ask the plain listener, which TLS and authentication never touch. None depends on the size of anything: replay
 * may take as long as it takes, because the process is healthy meanwhile, and only not ready.
 */
const probe = (path: string, periodSeconds: number, timeoutSeconds: number, failureThreshold: number) => ({
  httpGet: { path, port: "probe", scheme: "HTTP" },
  periodSeconds,
  timeoutSeconds,
  failureThreshold,
});

export function podTemplate({ database, image, engine, restart }: TemplateInput) {
  const { spec } = database;
  return {
    metadata: {
      labels: labelsOf(database),
      annotations: {
        [CONFIG_ANNOTATION]: engine.restartHash,
        ...(restart !== undefined && { [RESTART_ANNOTATION]: restart }),
      },
    },
    spec: {
      serviceAccountName: serviceAccountName(database),
      automountServiceAccountToken: false,
      // A Service named tsdb would put TSDB_PORT and its like into the environment of a program that reads TSDB_*.
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      ...(spec.imagePullSecrets && { imagePullSecrets: spec.imagePullSecrets }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        // Otherwise each start would walk through all files of a large volume.
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: CONTAINER,
          image,
          command: ["tsdb"],
          args: ["start", "--config", `${CONFIG_MOUNT}/${CONFIG_FILE}`],
          ports: [
            { name: "http", containerPort: HTTP_PORT, protocol: "TCP" },
            { name: "probe", containerPort: PROBE_PORT, protocol: "TCP" },
          ],
          startupProbe: probe("/-/healthy", 2, 2, 60),
          livenessProbe: probe("/-/healthy", 10, 5, 6),
          readinessProbe: probe("/-/ready?for=queries", 5, 3, 2),
          ...(spec.resources && { resources: spec.resources }),
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            capabilities: { drop: ["ALL"] },
          },
          // The last lines of the log become the reason that the status gives for a crash.
          terminationMessagePolicy: "FallbackToLogsOnError",
          volumeMounts: [
            { name: DATA_VOLUME, mountPath: DATA_MOUNT },
            // The directory and no subPath, which would never see a change.
            { name: CONFIG_VOLUME, mountPath: CONFIG_MOUNT, readOnly: true },
          ],
        },
      ],
      volumes: [{ name: CONFIG_VOLUME, configMap: { name: configMapName(database), defaultMode: 0o444 } }],
    },
  };
}
