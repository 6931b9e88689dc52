/**
 * What the API server says when it does not do what it was asked, and what is to be thought when it says nothing at all. The
 * reasons are its own (`Status.reason`), or one of ours where there was no such answer.
 */
import { TsdbError } from "../../base/errors.ts";

/** One of the faults that a refusal lists. */
export interface ErrorCause {
  readonly reason?: string;
  readonly field?: string;
  readonly message?: string;
}

export interface ClusterErrorFields {
  /** HTTP status, also of an ERROR event in a watch; 0 when there was no answer. */
  readonly status: number;
  /**
   * Of Kubernetes; or one of ours, where the status is 0:
   *
   *   ConnectionFailed   refused, reset, no such host, TLS
   *   Timeout            no whole answer in time; Kubernetes has the reason too
   *   BadAnswer          an answer that is no JSON, is cut short, or is no object
   *   NoCredentials      the kubeconfig's token, certificate or plug-in failed
   *   NotLeader          a write that was not sent, because another may be leading
   *   Canceled           by whoever asked
   */
  readonly reason: string;
  /** What the API server said, or what happened instead. */
  readonly detail: string;
  readonly retryAfterMs?: number | undefined;
  readonly causes?: readonly ErrorCause[];
  readonly cause?: unknown;
}

export class ClusterError extends TsdbError {
  override readonly name = "ClusterError";
  readonly status: number;
  readonly reason: string;
  readonly detail: string;
  /** How long the API server asks to be left alone. */
  readonly retryAfterMs: number | undefined;
  readonly causes: readonly ErrorCause[];

  /** @param action what was tried, as in "apply StatefulSet monitoring/metrics" */
  constructor(action: string, fields: ClusterErrorFields) {
    super("CLUSTER", `Cannot ${action}: ${fields.detail}`, { cause: fields.cause });
    this.status = fields.status;
    this.reason = fields.reason;
    this.detail = fields.detail;
    this.retryAfterMs = fields.retryAfterMs;
    this.causes = fields.causes ?? [];
  }

  /** There is no such object. A proxy's page of the same status says nothing about objects. */
  get isNotFound(): boolean {
    return this.status === 404 && this.reason === "NotFound";
  }

  /** There is no such resource, as before its CustomResourceDefinition: the API server says so in plain text. */
  get isNotServed(): boolean {
    return this.status === 404 && this.detail.includes("404 page not found");
  }

  /** Somebody else was faster, or the object is another by now; to be read again and decided anew. */
  get isConflict(): boolean {
    return (this.status === 409 && this.reason !== "AlreadyExists") || this.#isAnother;
  }

  /** What an apply with the uid of a predecessor is told: that a uid cannot be changed. */
  get #isAnother(): boolean {
    return this.status === 422 && this.causes.some(({ field }) => field === "metadata.uid");
  }

  get isAlreadyExists(): boolean {
    return this.status === 409 && this.reason === "AlreadyExists";
  }

  /** What was asked for is too old to be had; list again. */
  get isGone(): boolean {
    return this.status === 410;
  }

  get isForbidden(): boolean {
    return this.status === 403;
  }

  /** The object itself is refused, by a schema, a rule or a webhook. */
  get isInvalid(): boolean {
    return (this.status === 422 || this.status === 400) && !this.#isAnother;
  }

  /** The namespace is being deleted: nothing can be created in it any more. */
  get isNamespaceTerminating(): boolean {
    return this.status === 403 && this.causes.some(({ reason }) => reason === "NamespaceTerminating");
  }

  /** The connection or the server is at fault, not the request: the same may go well later. */
  get isTransient(): boolean {
    return this.reason !== "NotLeader" && (this.status === 0 || this.status === 429 || this.status >= 500);
  }
}

interface StatusObject {
  readonly code?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown; readonly causes?: unknown };
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/**
 * The error that a `Status` object tells of, as an answer's body or as an ERROR event of a watch.
 * @param status the HTTP status; of an event, undefined: then it is the object's own code
 */
export function errorOfStatus(action: string, object: unknown, status?: number, retryAfterMs?: number): ClusterError {
  const body = (typeof object === "object" && object !== null ? object : {}) as StatusObject;
  const code = status ?? (typeof body.code === "number" ? body.code : 0);
  const seconds = body.details?.retryAfterSeconds;
  const reason = text(body.reason) ?? `HTTP${code}`;
  return new ClusterError(action, {
    status: code,
    reason,
    detail: text(body.message) ?? `the API server answered ${code} ${reason}`,
    retryAfterMs: retryAfterMs ?? (typeof seconds === "number" && seconds > 0 ? seconds * 1000 : undefined),
    causes: Array.isArray(body.details?.causes) ? body.details.causes.map(causeOf) : [],
  });
}

function causeOf(cause: unknown): ErrorCause {
  const known: Record<string, string> = {};
  for (const [field, value] of Object.entries(Object(cause) as object))
    if (typeof value === "string" && value !== "") known[field] = value;
  return known;
}

const TEXT_SHOWN_MAX = 200;

/** The error of an answer whose body is no `Status`: a proxy's page, or nothing. */
export function errorOfText(action: string, body: string, status: number, retryAfterMs?: number): ClusterError {
  const shown = body.replaceAll(/\s+/g, " ").trim().slice(0, TEXT_SHOWN_MAX);
  return new ClusterError(action, {
    status,
    reason: `HTTP${status}`,
    detail: `the API server, or something in front of it, answered ${status}${shown === "" ? "" : `: ${shown}`}`,
    retryAfterMs,
  });
}
