/** The cluster that all tests of a run share, as suite-setup.ts made it or KUBECONFIG names it. */
import { inject } from "vitest";
import type { Upstream } from "../proxy/fault-proxy.ts";

export interface Suite {
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** What outlives single tests: audit logs. */
  readonly folder: string;
  /** Of a cluster that we started ourselves; of another we have neither its certificate nor its audit log. */
  readonly own?: { readonly upstream: Upstream; readonly auditLog: string };
}

declare module "vitest" {
  interface ProvidedContext {
    readonly suite: Suite;
  }
}

export const suite = (): Suite => inject("suite");
