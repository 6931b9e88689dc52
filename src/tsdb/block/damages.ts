/** What verifying a block finds wrong with it, each place once. */
import { relative } from "node:path/posix";
import { damageOf } from "../index/corrupt.ts";

/** Something in a block that is not as it was written. */
export interface BlockDamage {
  /** Under the block's directory. */
  readonly file: string;
  readonly offsetBytes: number;
  readonly message: string;
  /** The disk failed to read it, which may pass. */
  readonly isReadFailure?: true;
}

/** A file that is nothing but damage has any number of faults; more than this many help nobody. */
const DAMAGES_MAX = 1000;

export class Damages {
  readonly found: BlockDamage[] = [];
  readonly #dir: string;
  readonly #places = new Set<string>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  add(file: string, offsetBytes: number, message: string, isReadFailure = false): void {
    const place = `${file}/${offsetBytes}`;
    if (this.#places.has(place) || this.found.length >= DAMAGES_MAX) return;
    this.#places.add(place);
    this.found.push({ file, offsetBytes, message, ...(isReadFailure && { isReadFailure }) });
  }

  /** Rethrows what is no damage. */
  addError(error: unknown): void {
    const { path, offsetBytes, reason, isReadFailure } = damageOf(error);
    this.add(relative(this.#dir, path), offsetBytes, reason, isReadFailure);
  }

  /** @returns what `run` returns; undefined when it came upon damage */
  try<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.addError(error);
      return undefined;
    }
  }
}
