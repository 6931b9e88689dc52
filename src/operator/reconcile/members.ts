/**
 * The members of a database as they are: pod, claim, and what the engine says of itself; and what is wrong with them, in
 * words that stay the same as long as the cause does: a text with a count or a time in it would be a write each time it
 * moves.
 */
import type { ReasonOf } from "../api/reasons.ts";
import { isPodReady, type ContainerStatus, type LiveClaim, type LivePod, type Terminated } from "./live.ts";

/** What `/-/state` on a member's probe listener says, without what moves by itself. */
export interface EngineState {
  readonly state: string;
  readonly configFileHash: string | undefined;
}

export interface Member {
  readonly name: string;
  readonly pod: LivePod | undefined;
  readonly claim: LiveClaim | undefined;
  /** Undefined while nobody could ask. */
  readonly engine: EngineState | undefined;
  /** Nobody has asked yet since this process leads: the state is what the last status says, and no more is known. */
  readonly isRemembered: boolean;
}

export interface Trouble {
  readonly reason: ReasonOf<"Degraded">;
  /** A sentence. */
  readonly message: string;
}

export const isReady = ({ pod }: Member): boolean => pod !== undefined && isPodReady(pod);

/** Exit codes of the engine that name a cause: docs/reference/cli.md. */
const EXIT_BAD_CONFIG = 2;
const EXIT_FORMAT_TOO_NEW = 5;

/** What the kubelet says while a pod's image cannot be had. It alternates between them with each try. */
const PULL_REASONS = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "RegistryUnavailable",
  "ImageInspectError",
  "SignatureValidationFailed",
]);
const START_REASONS = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
  "CreatePodSandboxError",
  "PreCreateHookError",
  "PostStartHookError",
]);

/** What keeps a pod from being ready and will not pass by itself; undefined when there is nothing to be said. */
export function podTrouble(pod: LivePod): Trouble | undefined {
  if (isPodReady(pod) || pod.metadata.deletionTimestamp !== undefined) return undefined;
  const { name } = pod.metadata;
  const { status } = pod;
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False")
    return {
      reason: "Unschedulable",
      message: `No node takes pod ${name}: ${scheduled.message ?? "no reason is given"}`,
    };
  if (status?.phase === "Failed")
    return {
      reason: "PodFailed",
      message: `Pod ${name} has failed${status.reason === undefined ? "" : ` (${status.reason})`}.`,
    };
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const trouble = containerTrouble(pod, container);
    if (trouble !== undefined) return trouble;
  }
  return undefined;
}

function containerTrouble(pod: LivePod, container: ContainerStatus): Trouble | undefined {
  if (container.ready === true) return undefined;
  const { name } = pod.metadata;
  const { waiting, terminated } = container.state ?? {};
  const reason = waiting?.reason ?? "";
  if (PULL_REASONS.has(reason)) {
    const image = pod.spec?.containers?.find((each) => each.name === container.name)?.image ?? container.image;
    return {
      reason: "ImagePullFailed",
      message: `Pod ${name} cannot pull the image ${image ?? ""} of its container ${container.name}.`,
    };
  }
  if (START_REASONS.has(reason)) {
    const says = waiting?.message === undefined ? reason : `${reason}: ${waiting.message}`;
    return {
      reason: "ContainerCannotStart",
      message: `Container ${container.name} of pod ${name} cannot be made: ${says}`,
    };
  }
  // Between two crashes the container runs for a while; it is the same trouble until it is ready once.
  const last = terminated ?? container.lastState?.terminated;
  const isAgain = reason === "CrashLoopBackOff" || (container.restartCount ?? 0) >= 2;
  if (last === undefined || last.exitCode === 0 || !isAgain) return undefined;
  return crash(name, container.name, last);
}

function crash(pod: string, container: string, { exitCode, reason, signal, message }: Terminated): Trouble {
  if (exitCode === EXIT_FORMAT_TOO_NEW)
    return {
      reason: "FormatTooNew",
      message: `The data of ${pod} was written by a newer version of the database than the one it runs.`,
    };
  if (exitCode === EXIT_BAD_CONFIG)
    return {
      reason: "BadConfig",
      message: `The database in pod ${pod} refuses its configuration; \`kubectl logs ${pod}\` has the setting.`,
    };
  const how = signal === undefined || signal === 0 ? `with code ${exitCode}` : `by signal ${signal}`;
  const why = reason === undefined || reason === "Error" ? "" : ` (${reason})`;
  const words = lastWords(message);
  const says = words === undefined ? `see \`kubectl logs --previous ${pod}\`` : `its last words: ${words}`;
  return {
    reason: "CrashLooping",
    message: `Container ${container} of pod ${pod} ends again and again ${how}${why}; ${says}`,
  };
}

const WORDS_MAX = 300;

/**
 * What the database logged as its last error. A whole line of the log has the time in it, and would be another text with each
 * crash.
 */
function lastWords(message: string | undefined): string | undefined {
  for (const line of (message ?? "").split("\n").toReversed()) {
    if (!line.startsWith("{")) continue;
    try {
      const { level, msg } = JSON.parse(line) as { readonly level?: unknown; readonly msg?: unknown };
      if (level === "error" && typeof msg === "string" && msg !== "") return msg.slice(0, WORDS_MAX);
    } catch {
      // The first line of what the kubelet kept is cut off where its limit was.
    }
  }
  return undefined;
}

/** What the engine says is wrong, though its pod may be ready. */
export function engineTrouble({ name, engine }: Member, isReadOnlyAsked: boolean): Trouble | undefined {
  switch (engine?.state) {
    case "readonly-disk":
      return { reason: "DiskFull", message: `The volume of ${name} is nearly full, and writes are refused.` };
    case "readonly-fault":
      return {
        reason: "DiskFault",
        message: `The disk of ${name} refuses the write-ahead log; the log of the pod has the error.`,
      };
    case "readonly-manual":
      if (isReadOnlyAsked) return undefined;
      return { reason: "ReadOnlyByHand", message: `Somebody has made ${name} read-only over its API.` };
    default:
      return undefined;
  }
}
