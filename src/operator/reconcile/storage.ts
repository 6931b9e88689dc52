/**
 * How far the volumes have come to the size that the spec asks for. Growth never waits for pods: a database that is down
 * because its disk is full is what grows it. The claims themselves say what the storage driver and the kubelet are at.
 */
import { compareQuantities, parseQuantity } from "../api/quantity.ts";
import type { ReasonOf } from "../api/reasons.ts";
import type { LiveClaim } from "./live.ts";
import type { Refusal } from "./refusals.ts";

export interface StorageFacts {
  /** What the spec asks for. */
  readonly size: string;
  /** Of the members that should be; undefined where there is none yet. */
  readonly claims: readonly { readonly name: string; readonly live: LiveClaim | undefined }[];
  /** Why the API server did not take a claim; undefined where it did. */
  readonly refusalOf: (claimName: string) => Refusal | undefined;
  /** The value that is on the pods' template. */
  readonly restart: string | undefined;
  readonly nowMs: number;
}

export interface StorageFinding {
  readonly reason: ReasonOf<"StorageResized">;
  readonly message: string;
}

export interface StorageOutcome {
  /** What is not as asked; nothing when all is. */
  readonly findings: readonly StorageFinding[];
  /** What is to be on the pods' template. */
  readonly restart: string | undefined;
  /** When to look again though nothing happens; undefined: no need. */
  readonly lookAgainInMs: number | undefined;
}

/**
 * The kubelet grows a mounted file system within a minute or two. Where it does not, the driver can do it only while the
 * volume is being mounted: a restart of the member.
 */
export const RESIZE_PATIENCE_MS = 5 * 60_000;

export function storageOutcome(facts: StorageFacts): StorageOutcome {
  const findings: StorageFinding[] = [];
  let { restart } = facts;
  let lookAgainInMs: number | undefined;
  for (const { name, live } of facts.claims) {
    const pending = live && pendingFileSystem(live);
    if (pending !== undefined && restart !== pending.requested) {
      const leftMs = pending.sinceMs + RESIZE_PATIENCE_MS - facts.nowMs;
      if (leftMs <= 0) restart = pending.requested;
      else lookAgainInMs = Math.min(lookAgainInMs ?? leftMs, leftMs);
    }
    const finding = findingOf(name, live, facts, restart);
    if (finding !== undefined) findings.push(finding);
  }
  return { findings, restart, lookAgainInMs };
}

/** The growth that waits for the file system alone, and since when. */
function pendingFileSystem(live: LiveClaim): { readonly requested: string; readonly sinceMs: number } | undefined {
  const condition = live.status?.conditions?.find(
    ({ type, status }) => type === "FileSystemResizePending" && status === "True",
  );
  const requested = live.spec?.resources?.requests?.storage;
  const sinceMs = Date.parse(condition?.lastTransitionTime ?? "");
  if (condition === undefined || requested === undefined || Number.isNaN(sinceMs)) return undefined;
  return { requested, sinceMs };
}

function findingOf(
  name: string,
  live: LiveClaim | undefined,
  { size, refusalOf }: StorageFacts,
  restart: string | undefined,
): StorageFinding | undefined {
  if (live === undefined) return { reason: "NotBound", message: `The claim ${name} is not there yet.` };
  const requested = live.spec?.resources?.requests?.storage;
  const { capacity, phase, conditions, allocatedResourceStatuses } = live.status ?? {};
  if (requested === undefined || parseQuantity(requested) === undefined) return undefined;
  const order = compareQuantities(requested, size);
  if (order > 0)
    return {
      reason: "ShrinkRefused",
      message: `The claim ${name} has ${requested}, and volumes cannot shrink; set spec.storage.size to ${requested}.`,
    };
  // Its size may be changed only once it is bound; then it grows.
  if (order < 0 && phase === "Bound") {
    const refusal = refusalOf(name);
    if (refusal !== undefined) return refusedGrowth(name, size, refusal);
  }
  if (phase !== "Bound")
    return { reason: "NotBound", message: `The claim ${name} is ${phase ?? "new"}: no volume is bound to it yet.` };
  const has = capacity?.storage;
  if (order === 0 && has !== undefined && parseQuantity(has) !== undefined && compareQuantities(has, size) >= 0)
    return undefined;
  const holds = (type: string): boolean =>
    conditions?.some((each) => each.type === type && each.status === "True") ?? false;
  const progress = allocatedResourceStatuses?.["storage"];
  if (progress?.endsWith("Infeasible") === true)
    return {
      reason: "ResizeInfeasible",
      message: `The storage driver cannot give ${name} ${size}; \`kubectl describe pvc ${name}\` says why.`,
    };
  if (holds("FileSystemResizePending"))
    return restart === requested
      ? { reason: "RestartPending", message: `The file system of ${name} grows to ${size} when its pod has restarted.` }
      : {
          reason: "FileSystemResizePending",
          message: `The volume of ${name} has ${size}; its file system is being grown.`,
        };
  return { reason: "Resizing", message: `The volume of ${name} grows from ${has ?? "nothing"} to ${size}.` };
}

function refusedGrowth(name: string, size: string, { kind, message }: Refusal): StorageFinding {
  if (kind === "Quota")
    return { reason: "QuotaExceeded", message: `The claim ${name} may not grow to ${size}: ${message}` };
  // The admission plug-in PersistentVolumeClaimResize has no reason of its own for it.
  if (/only dynamically provisioned pvc can be resized|must support resize/.test(message))
    return {
      reason: "NotExpandable",
      message: `The claim ${name} cannot grow to ${size}: its StorageClass does not allow volumes to grow (allowVolumeExpansion).`,
    };
  return { reason: "ResizeRefused", message: `The claim ${name} may not grow to ${size}: ${message}` };
}
