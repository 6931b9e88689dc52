/** What may be set while the database runs, and is kept over a restart: whether it takes writes, and how much is kept. */
import type { Logger } from "../../base/logger.ts";
import type { Vfs } from "../../base/vfs.ts";
import type { RetentionInForce } from "./api.ts";
import { type KeptSettings, loadSettings, saveSettings } from "./kept-settings.ts";
import { type RetentionChange, RetentionPolicy, type RetentionSettings } from "./retention-policy.ts";

export interface ControlsOptions {
  readonly vfs: Vfs;
  readonly dataDir: string;
  readonly log: Logger;
  readonly configured: ConfiguredControls;
  /** Something else is in force. */
  readonly onChange: () => void;
}

/** What the configuration says. */
export interface ConfiguredControls {
  readonly retention: RetentionSettings;
  readonly isReadOnly: boolean;
}

export class Controls {
  readonly #options: ControlsOptions;
  readonly policy: RetentionPolicy;
  #isMadeReadOnly = false;
  #isConfiguredReadOnly: boolean;
  /** One change after the other: each is kept before it counts. */
  #saving: Promise<void> = Promise.resolve();

  constructor(options: ControlsOptions) {
    this.#options = options;
    this.policy = new RetentionPolicy(options.configured.retention, {});
    this.#isConfiguredReadOnly = options.configured.isReadOnly;
  }

  get isReadOnly(): boolean {
    return this.#isMadeReadOnly || this.#isConfiguredReadOnly;
  }

  /** Whether somebody made the database read-only over the API. */
  get isMadeReadOnly(): boolean {
    return this.#isMadeReadOnly;
  }

  get isConfiguredReadOnly(): boolean {
    return this.#isConfiguredReadOnly;
  }

  get retention(): RetentionInForce {
    const { policy } = this;
    return {
      settings: policy.settings,
      overridden: {
        ageMs: policy.isOverridden("ageMs"),
        sizeBytesMax: policy.isOverridden("sizeBytesMax"),
        volumePercentMax: policy.isOverridden("volumePercentMax"),
      },
    };
  }

  /** @throws what the file system throws */
  async load(): Promise<void> {
    const { vfs, dataDir, log, configured } = this.#options;
    const kept = await loadSettings(vfs, dataDir, log);
    this.#isMadeReadOnly = kept.isReadOnly;
    this.policy.override(kept.retention);
    // What was configured may be another since.
    this.policy.configure(configured.retention);
    this.#options.onChange();
  }

  /** The configuration was read again. */
  configure({ retention, isReadOnly }: ConfiguredControls): void {
    this.#isConfiguredReadOnly = isReadOnly;
    this.policy.configure(retention);
    this.#options.onChange();
  }

  /** @throws what the file system throws; then nothing has changed */
  setReadOnly(isReadOnly: boolean): Promise<void> {
    return this.#change(
      () => ({ isReadOnly, retention: this.policy.overrides }),
      () => {
        if (this.#isMadeReadOnly === isReadOnly) return;
        this.#isMadeReadOnly = isReadOnly;
        const { log } = this.#options;
        log.info({ operation: "admin" }, isReadOnly ? "made read-only: no writes are taken" : "made writable again");
      },
    );
  }

  /** @throws what the file system throws; then nothing has changed */
  setRetention(change: RetentionChange): Promise<void> {
    return this.#change(
      () => ({ isReadOnly: this.#isMadeReadOnly, retention: this.policy.changed(change) }),
      ({ retention }) => {
        this.policy.override(retention);
        const { ageMs, sizeBytesMax, volumePercentMax } = this.policy.settings;
        this.#options.log.info(
          { operation: "admin", age_ms: ageMs, size_bytes_max: sizeBytesMax, volume_percent_max: volumePercentMax },
          "the retention was changed",
        );
      },
    );
  }

  /** Resolves when nothing is being saved. */
  async close(): Promise<void> {
    await this.#saving;
  }

  #change(next: () => KeptSettings, apply: (kept: KeptSettings) => void): Promise<void> {
    const saved = this.#save(this.#saving, next, apply);
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  async #save(before: Promise<void>, next: () => KeptSettings, apply: (kept: KeptSettings) => void): Promise<void> {
    const { vfs, dataDir, onChange } = this.#options;
    await before;
    const kept = next();
    await saveSettings(vfs, dataDir, kept);
    apply(kept);
    onChange();
  }
}
