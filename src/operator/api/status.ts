/**
 * What the operator says about a database. Only what changes when something happens: no counts, no sizes in use, no times
 * that move by themselves. Those are metrics; here they would be writes for ever.
 */
import { z } from "zod";

export const CONDITION_TYPES = [
  "Ready",
  "Available",
  "Progressing",
  "Degraded",
  "Reconciled",
  "ConfigApplied",
  "StorageResized",
  "Stalled",
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

export const PHASES = [
  "Provisioning",
  "Ready",
  "Updating",
  "Resizing",
  "Degraded",
  "Stopped",
  "Paused",
  "Invalid",
] as const;
export type Phase = (typeof PHASES)[number];

const condition = z.object({
  type: z.string().min(1).max(316).describe("What it is about."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  reason: z.string().min(1).max(1024).describe("Why, in a word; docs/reference/conditions.md has them all."),
  message: z.string().max(32_768).describe("Why, in a sentence that says what to do."),
  lastTransitionTime: z.string().describe("When the status last changed."),
  observedGeneration: z.number().int().min(0).optional().describe("Of the spec that it is about."),
});

const volume = z.object({
  uid: z.string().optional().describe("Of the claim."),
  requested: z.string().optional().describe("What the claim asks for."),
  capacity: z.string().optional().describe("What the volume has."),
  state: z.string().optional().describe("Phase of the claim."),
});

const member = z.object({
  name: z.string().describe("Of the pod."),
  ready: z.boolean().describe("Whether it takes writes and answers queries."),
  state: z.string().optional().describe("What the engine says of itself."),
  volume: volume.optional().describe("Its volume."),
});

export const statusSchema = z
  .object({
    observedGeneration: z.number().int().min(0).optional().describe("Of the spec that this status is about."),
    phase: z.enum(PHASES).optional().describe("The conditions in a word, for people."),
    replicas: z.number().int().min(0).optional().describe("Members that exist."),
    readyReplicas: z.number().int().min(0).optional().describe("Members that are ready."),
    updatedReplicas: z.number().int().min(0).optional().describe("Members that run what the spec says."),
    selector: z.string().optional().describe("Of the members' pods, for the scale subresource."),
    image: z.string().optional().describe("What runs. Shown, and never read back."),
    endpoints: z
      .object({
        write: z.string().optional().describe("Where a Prometheus writes to."),
        query: z.string().optional().describe("What a Grafana data source is given."),
      })
      .optional()
      .describe("Ready to paste."),
    members: z
      .array(member)
      .optional()
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] })
      .describe("Each member."),
    conditions: z
      .array(condition)
      .optional()
      .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
      .describe("What holds."),
  })
  .describe("What there is.");

export type Status = z.output<typeof statusSchema>;
export type Condition = z.output<typeof condition>;
