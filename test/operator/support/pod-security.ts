/**
 * Pod Security's `restricted`, written from the standard (kubernetes.io/docs/concepts/security/pod-security-standards), for
 * Linux pods.
 */
interface SecurityContext {
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly procMount?: string;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly seccompProfile?: { readonly type?: string };
  readonly seLinuxOptions?: object;
  readonly appArmorProfile?: { readonly type?: string };
  readonly sysctls?: readonly object[];
  readonly windowsOptions?: object;
}

interface Container {
  readonly name: string;
  readonly securityContext?: SecurityContext;
  readonly ports?: readonly { readonly hostPort?: number }[];
}

export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext?: SecurityContext;
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Readonly<Record<string, unknown>>[];
}

const volumeTypes = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

/** @returns what `restricted` forbids of it; nothing when it is admitted */
export function restrictedViolations(pod: PodSpec): readonly string[] {
  const found: string[] = [];
  const forbid = (isBroken: boolean, what: string): void => void (isBroken && found.push(what));
  const { securityContext: ofPod = {} } = pod;
  forbid(pod.hostNetwork === true || pod.hostPID === true || pod.hostIPC === true, "host namespaces");
  forbid((ofPod.sysctls ?? []).length > 0, "sysctls");
  for (const { name, ...types } of pod.volumes ?? [])
    forbid(!Object.keys(types).every((type) => volumeTypes.has(type)), `volume ${String(name)}`);
  for (const { name, securityContext: own = {}, ports = [] } of [...pod.containers, ...(pod.initContainers ?? [])]) {
    const both = { ...ofPod, ...own };
    const { add = [], drop = [] } = own.capabilities ?? {};
    forbid(own.privileged === true, `${name}: privileged`);
    forbid(own.allowPrivilegeEscalation !== false, `${name}: allowPrivilegeEscalation`);
    forbid(both.runAsNonRoot !== true, `${name}: runAsNonRoot`);
    forbid(both.runAsUser === 0, `${name}: runAsUser`);
    forbid(!["RuntimeDefault", "Localhost"].includes(both.seccompProfile?.type ?? ""), `${name}: seccompProfile`);
    forbid(!drop.includes("ALL") || add.some((each) => each !== "NET_BIND_SERVICE"), `${name}: capabilities`);
    forbid(own.procMount !== undefined && own.procMount !== "Default", `${name}: procMount`);
    forbid(both.appArmorProfile?.type === "Unconfined", `${name}: appArmorProfile`);
    forbid(both.seLinuxOptions !== undefined, `${name}: seLinuxOptions`);
    forbid(both.windowsOptions !== undefined, `${name}: windowsOptions`);
    forbid(
      ports.some(({ hostPort }) => hostPort !== undefined && hostPort !== 0),
      `${name}: hostPort`,
    );
  }
  return found;
}
