/**
 * Watches the space on the volume of the data directory. Below the reserve the database takes no writes, so that what is
 * left is there for the work that frees space: flushes, deletions, and the log of what was accepted. Looks every second, so
 * writing goes on within seconds of space returning, by deletion, retention or a volume that grew.
 *
 * The reserve by default is 5 % of the volume: in proportion to what volumes are bought for. It is at most 1 GiB, several
 * times what one flush writes (its head fits in storage.memtable_size); at least 64 MiB, below which one flush may not find
 * room; and never more than a quarter of the volume, which a tiny one would be full with from the start.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Vfs, VfsSpace } from "../../base/vfs.ts";
import type { DiskStatus } from "./states.ts";

export interface DiskSpaceOptions {
  readonly vfs: Vfs;
  readonly dir: string;
  /** Undefined: the default, by the size of the volume. 0: no guard. */
  readonly reserveBytes: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** The disk has become full, or has room again. */
  readonly onChange: () => void;
}

export const POLL_MS = 1_000;
/** Writing goes on when this much of the reserve is free: without a difference a volume at the edge would flap. */
const LEAVE_FACTOR = 1.05;

const MiB = 1024 * 1024;
const RESERVE_SHARE = 0.05;
const RESERVE_MIN = 64 * MiB;
const RESERVE_MAX = 1024 * MiB;
const VOLUME_SHARE_MAX = 0.25;

/** What is kept free on a volume where nothing is said. */
export const defaultReserve = (totalBytes: number): number =>
  Math.floor(
    Math.min(totalBytes * VOLUME_SHARE_MAX, Math.min(RESERVE_MAX, Math.max(RESERVE_MIN, totalBytes * RESERVE_SHARE))),
  );

/** Whether a call failed for want of space, which returns. */
export function isOutOfSpace(thrown: unknown): boolean {
  for (let at: unknown = thrown; at instanceof Error; at = at.cause) {
    const errno = errnoOf(at);
    if (errno === "ENOSPC" || errno === "EDQUOT") return true;
  }
  return false;
}

export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  #reserveBytes: number | undefined;
  #status: DiskStatus | undefined;
  #isFull = false;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  #hasFailed = false;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
    this.#reserveBytes = options.reserveBytes;
  }

  /** Undefined until the volume was looked at, or where the system does not tell. */
  get status(): DiskStatus | undefined {
    return this.#status;
  }

  /** Whether less than the reserve is free. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Looks once, and from then on every second. */
  async start(): Promise<void> {
    await this.look();
    this.#lookLater();
  }

  /** As `storage.disk_reserve` has it from now on. */
  setReserve(reserveBytes: number | undefined): void {
    this.#reserveBytes = reserveBytes;
    if (this.#status !== undefined) this.#judge(this.#status);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  /** Looks now; never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  #lookLater(): void {
    if (this.#isStopped) return;
    this.#timer = this.#options.clock.after(POLL_MS, () => void this.look().then(() => this.#lookLater()));
  }

  async #look(): Promise<void> {
    const { vfs, dir, log } = this.#options;
    try {
      const space = await vfs.space(dir);
      this.#hasFailed = false;
      this.#judge(space);
    } catch (thrown) {
      // Not knowing is no reason to refuse writes: one that finds no space is refused all the same.
      if (!this.#hasFailed)
        log.warn({ operation: "disk", err: thrown }, `Cannot tell how much space is free: ${messageOf(thrown)}`);
      this.#hasFailed = true;
    }
  }

  #judge({ totalBytes, freeBytes }: VfsSpace): void {
    const { log, onChange } = this.#options;
    const reserveBytes = this.#reserveBytes ?? defaultReserve(totalBytes);
    this.#status = { totalBytes, freeBytes, reserveBytes };
    const isFull = freeBytes < (this.#isFull ? Math.min(reserveBytes * LEAVE_FACTOR, totalBytes) : reserveBytes);
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    const fields = { operation: "disk", free_bytes: freeBytes, reserve_bytes: reserveBytes };
    if (isFull) log.error(fields, "the disk is nearly full: no writes are taken until there is space again");
    else log.info(fields, "there is space again: writes are taken");
    onChange();
  }
}
