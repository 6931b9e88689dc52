/** The configuration of a running process: read once at the start, and again on SIGHUP and POST /-/reload. */
import type { ProcessLogger } from "../../base/logger-pino.ts";
import { reloaded, type Config, type ConfigInForce, type LoadedConfig, type Reload } from "../config.ts";

export class LiveConfig implements ConfigInForce {
  readonly #read: () => LoadedConfig;
  readonly #log: ProcessLogger;
  readonly #listeners: ((config: Config) => void)[] = [];
  #current: LoadedConfig;

  /** @param read reads flags, variables and file again; throws TsdbError BAD_CONFIG */
  constructor(first: LoadedConfig, read: () => LoadedConfig, log: ProcessLogger) {
    this.#current = first;
    this.#read = read;
    this.#log = log;
  }

  get current(): LoadedConfig {
    return this.#current;
  }

  /**
   * Applies what can be applied, and says in the log what was and what waits for a restart.
   * @throws TsdbError BAD_CONFIG; the old configuration stays in force
   */
  reload(): Reload {
    const log = this.#log;
    let after: LoadedConfig;
    try {
      after = this.#read();
    } catch (thrown) {
      this.#current = { ...this.#current, isNewest: false };
      log.error({ error: thrown }, "the configuration was not reloaded, the old one stays in force");
      throw thrown;
    }
    const reload = reloaded(this.#current, after);
    this.#current = reload.inForce;
    const { applied, needRestart } = reload;
    // Said whatever the old level and the new one are.
    log.setLevel("info");
    const listed = (values: typeof applied) => values.map(({ setting, text }) => `${setting.key}=${text}`);
    log.info({ applied: listed(applied) }, `configuration reloaded${applied.length > 0 ? "" : ", nothing to apply"}`);
    if (needRestart.length > 0) log.warn({ need_restart: listed(needRestart) }, "these changes need a restart");
    log.setLevel(this.#current.config.logging.level);
    for (const apply of this.#listeners) apply(this.#current.config);
    return reload;
  }

  onReload(apply: (config: Config) => void): void {
    this.#listeners.push(apply);
  }
}
