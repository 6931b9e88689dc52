/**
 * Notices that the configuration file has another content. It is read every few seconds, by its path: a Kubernetes ConfigMap
 * is replaced by way of a symbolic link, which watchers of files miss, and a network file system tells nobody of changes.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { readConfigFile } from "./file.ts";

export const LOOK_MS = 5_000;

export class ConfigWatch {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #text: string | undefined;
  #timer: Timer | undefined;

  /** @param onChange called once for each content; must not throw */
  constructor(file: string, clock: Clock, onChange: () => void) {
    this.#file = file;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#text = this.#read();
    this.#lookLater();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#clock.after(LOOK_MS, () => {
      const text = this.#read();
      // A file that is away for a moment is being replaced; one that stays away changes nothing.
      if (text !== undefined && text !== this.#text) {
        this.#text = text;
        this.#onChange();
      }
      this.#lookLater();
    });
  }

  #read(): string | undefined {
    const contents = readConfigFile(this.#file);
    return "text" in contents ? contents.text : undefined;
  }
}
