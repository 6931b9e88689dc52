/** The API server's audit log: who asked for what, and what came of it, as the server itself saw it. */
import { existsSync, readFileSync } from "node:fs";

export interface AuditEvent {
  readonly at: Date;
  /** `system:serviceaccount:NAMESPACE:NAME` of a ServiceAccount. */
  readonly user: string;
  readonly userAgent: string;
  readonly verb: string;
  /** "" for the core group. */
  readonly group: string;
  /** Plural; "" for what is no resource. */
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  readonly status: number;
}

interface RawEvent {
  readonly stageTimestamp: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username: string };
  readonly objectRef?: Readonly<
    Partial<Record<"apiGroup" | "resource" | "subresource" | "namespace" | "name", string>>
  >;
  readonly responseStatus?: { readonly code?: number };
}

/** All complete lines of the log, oldest first. */
export function auditEvents(path: string): AuditEvent[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  // The last line may still be in the writing.
  return lines.slice(0, -1).map((line) => eventOf(JSON.parse(line) as RawEvent));
}

const eventOf = ({ objectRef = {}, ...raw }: RawEvent): AuditEvent => ({
  at: new Date(raw.stageTimestamp),
  user: raw.user.username,
  userAgent: raw.userAgent ?? "",
  verb: raw.verb,
  group: objectRef.apiGroup ?? "",
  resource: objectRef.resource ?? "",
  subresource: objectRef.subresource ?? "",
  namespace: objectRef.namespace ?? "",
  name: objectRef.name ?? "",
  path: raw.requestURI,
  status: raw.responseStatus?.code ?? 0,
});
