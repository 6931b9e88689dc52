/** Kubeconfig files: one cluster, one user, as a program or a test is given them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { stringify } from "yaml";

export interface KubeconfigOptions {
  /** Of the API server, or of the fault proxy before it. */
  readonly url: string;
  /** The certificate that signed the server's, as PEM. */
  readonly ca: string;
  readonly token: string;
  /** For objects that name none; "default" when absent. */
  readonly namespace?: string;
}

/** @returns the path, for messages and environments */
export function writeKubeconfig(path: string, { url, ca, token, namespace }: KubeconfigOptions): string {
  const cluster = { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") };
  const context = { cluster: "tsdb-e2e", user: "tsdb-e2e", ...(namespace === undefined ? {} : { namespace }) };
  mkdirSync(dirname(path), { recursive: true });
  // A user's token opens the cluster, so the file is the user's alone.
  writeFileSync(
    path,
    stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "tsdb-e2e", cluster }],
      users: [{ name: "tsdb-e2e", user: { token } }],
      contexts: [{ name: "tsdb-e2e", context }],
      "current-context": "tsdb-e2e",
    }),
    { mode: 0o600 },
  );
  return path;
}
