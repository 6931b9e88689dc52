/**
 * How much is kept: by age, by bytes, by share of the volume. Each limit is what the configuration says, unless it was set
 * over the API; the later of the two changes counts. So an override remembers which configured value it replaced, and ends
 * when the configuration says something else, after a restart as after a reload.
 */
import { formatDurationMs } from "../../base/duration.ts";
import type { RetentionLimits } from "../compact/retention.ts";

/** Limits as they are set; 0 is none, except for the age, which has always one. */
export interface RetentionSettings {
  readonly ageMs: number;
  readonly sizeBytesMax: number;
  /** Of the volume that holds the data. */
  readonly volumePercentMax: number;
}

export type RetentionKey = keyof RetentionSettings;

export const retentionKeys = ["ageMs", "sizeBytesMax", "volumePercentMax"] as const satisfies readonly RetentionKey[];

export interface Override {
  readonly value: number;
  /** What was configured when it was set. */
  readonly insteadOf: number;
}

export type RetentionOverrides = Readonly<Partial<Record<RetentionKey, Override>>>;

/** null: as the configuration has it. */
export type RetentionChange = Readonly<Partial<Record<RetentionKey, number | null>>>;

export class RetentionPolicy {
  #configured: RetentionSettings;
  #overrides: RetentionOverrides;

  constructor(configured: RetentionSettings, overrides: RetentionOverrides) {
    this.#configured = configured;
    this.#overrides = stillMeant(overrides, configured);
  }

  /** In force. */
  get settings(): RetentionSettings {
    const { ageMs, sizeBytesMax, volumePercentMax } = this.#overrides;
    return {
      ageMs: ageMs?.value ?? this.#configured.ageMs,
      sizeBytesMax: sizeBytesMax?.value ?? this.#configured.sizeBytesMax,
      volumePercentMax: volumePercentMax?.value ?? this.#configured.volumePercentMax,
    };
  }

  get limits(): RetentionLimits {
    const { ageMs, sizeBytesMax, volumePercentMax } = this.settings;
    return {
      ageMs,
      sizeBytesMax: sizeBytesMax === 0 ? undefined : sizeBytesMax,
      volumePercentMax: volumePercentMax === 0 ? undefined : volumePercentMax,
    };
  }

  /** To be kept over a restart. */
  get overrides(): RetentionOverrides {
    return this.#overrides;
  }

  isOverridden(key: RetentionKey): boolean {
    return this.#overrides[key] !== undefined;
  }

  /** What the overrides would be after a change: kept first, then put in force by `override`. */
  changed(change: RetentionChange): RetentionOverrides {
    const next: Partial<Record<RetentionKey, Override>> = { ...this.#overrides };
    for (const key of retentionKeys) {
      const value = change[key];
      if (value === null) delete next[key];
      else if (value !== undefined) next[key] = { value, insteadOf: this.#configured[key] };
    }
    return next;
  }

  override(overrides: RetentionOverrides): void {
    this.#overrides = overrides;
  }

  /** The configuration was read again. */
  configure(configured: RetentionSettings): void {
    this.#configured = configured;
    this.#overrides = stillMeant(this.#overrides, configured);
  }

  /** Such as "30d", for people. */
  get text(): string {
    return formatDurationMs(this.settings.ageMs);
  }
}

function stillMeant(overrides: RetentionOverrides, configured: RetentionSettings): RetentionOverrides {
  const meant: Partial<Record<RetentionKey, Override>> = {};
  for (const key of retentionKeys) {
    const override = overrides[key];
    if (override?.insteadOf === configured[key]) meant[key] = override;
  }
  return meant;
}
