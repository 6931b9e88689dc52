/** What is asked about a pod that runs: who it is, how often it started, where its process and its volume are. */
import { readdirSync, readFileSync } from "node:fs";
import { field, type Api, type KubeObject } from "../support/api.ts";

export interface PodState {
  readonly uid: string;
  readonly ip: string | undefined;
  readonly restarts: number;
  readonly isReady: boolean;
  readonly image: string;
}

export async function podState(api: Api, namespace: string, name: string): Promise<PodState | undefined> {
  const pod = await api.find({ apiVersion: "v1", kind: "Pod", namespace, name });
  return pod === undefined ? undefined : stateOf(pod);
}

function stateOf(pod: KubeObject): PodState {
  const container = field(pod, "status.containerStatuses.0");
  return {
    uid: pod.metadata.uid!,
    ip: field(pod, "status.podIP") as string | undefined,
    restarts: (field(container, "restartCount") as number | undefined) ?? 0,
    isReady: field(container, "ready") === true && pod.metadata.deletionTimestamp === undefined,
    image: field(pod, "spec.containers.0.image") as string,
  };
}

/** Of the processes of this machine, that which is a pod's and was started with these words. */
export function processOf(podUid: string, words: string): number {
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)))
    try {
      const [cgroup, command] = [readFileSync(`/proc/${name}/cgroup`, "utf8"), readFileSync(`/proc/${name}/cmdline`)];
      const isOfPod = cgroup.includes(podUid) || cgroup.includes(podUid.replaceAll("-", "_"));
      if (isOfPod && command.toString("utf8").replaceAll("\0", " ").includes(words)) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  throw new Error(`pod ${podUid} has no process "${words}"`);
}

/** Where this machine sees what a process sees at a path. */
export const pathSeenBy = (pid: number, path: string): string => `/proc/${pid}/root${path}`;
