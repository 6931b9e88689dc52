/**
 * One file of a MemoryVfs: what reads see, what is surely durable, and the changes in between.
 *
 *   durable ──journal: [write, write, truncate, write]──▶ current
 *
 * A journal entry is `pending` until a sync that began after it succeeds (`synced`) or fails (`lost`: the system marks the
 * pages clean, later syncs no longer write them, yet reads still see them; this is what makes retrying fsync unsafe).
 * After a power cut each 512-byte sector shows some moment between the last sync and the cut, each sector its own; lost
 * entries may or may not have reached each sector; the size is that of some moment too. Synced entries always show.
 */
import type { Random } from "../random.ts";

const SECTOR_BYTES = 512;

type Fate = "pending" | "synced" | "lost";

type Change =
  | { readonly kind: "write"; readonly positionBytes: number; readonly data: Uint8Array; fate: Fate }
  | { readonly kind: "truncate"; readonly sizeBytes: number; fate: Fate };

/** How much of what was not synced survives: 0 nothing, 1 all, in between each sector and name by chance. */
export interface CrashChoice {
  readonly keep: number;
  readonly random: Random;
}

/** Bytes that can grow; everything beyond the size reads as zero when it is grown over. */
class Bytes {
  #buffer = new Uint8Array(0);
  sizeBytes = 0;

  view(): Uint8Array {
    return this.#buffer.subarray(0, this.sizeBytes);
  }

  write(data: Uint8Array, positionBytes: number): void {
    this.resize(Math.max(this.sizeBytes, positionBytes + data.byteLength));
    this.#buffer.set(data, positionBytes);
  }

  resize(sizeBytes: number): void {
    if (sizeBytes > this.#buffer.byteLength) {
      const grown = new Uint8Array(Math.max(sizeBytes, this.#buffer.byteLength * 2, SECTOR_BYTES));
      grown.set(this.view());
      this.#buffer = grown;
    }
    if (sizeBytes < this.sizeBytes) this.#buffer.fill(0, sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  copy(): Bytes {
    const copied = new Bytes();
    copied.write(this.view(), 0);
    return copied;
  }
}

export class Inode {
  readonly kind = "file";
  #current = new Bytes();
  #durable = new Bytes();
  #journal: Change[] = [];

  get sizeBytes(): number {
    return this.#current.sizeBytes;
  }

  read(into: Uint8Array, positionBytes: number): number {
    const found = this.#current.view().subarray(positionBytes, positionBytes + into.byteLength);
    into.set(found);
    return found.byteLength;
  }

  write(data: Uint8Array, positionBytes: number): void {
    this.#current.write(data, positionBytes);
    this.#journal.push({ kind: "write", positionBytes, data: Uint8Array.from(data), fate: "pending" });
  }

  truncate(sizeBytes: number): void {
    this.#current.resize(sizeBytes);
    this.#journal.push({ kind: "truncate", sizeBytes, fate: "pending" });
  }

  /** What a sync that begins now covers; call the result when it succeeds or fails. */
  beginSync(): (succeeded: boolean) => void {
    const covered = this.#journal.slice();
    return (succeeded) => {
      for (const change of covered) if (change.fate === "pending") change.fate = succeeded ? "synced" : "lost";
      this.#settle();
    };
  }

  /** The file after a power cut now. */
  afterCrash({ keep, random }: CrashChoice): Inode {
    // Every sector, and the size, shows the file as it was after this many changes of the journal.
    const moment = (): number =>
      keep >= 1 ? this.#journal.length : random.chance(keep) ? random.between(1, this.#journal.length) : 0;
    const shows = (change: Change, index: number, until: number): boolean =>
      change.fate === "synced" || (change.fate === "lost" ? random.chance(keep) : index < until);
    const momentOfSector = new Map<number, number>();
    const sizeMoment = moment();
    const content = this.#durable.copy();
    let { sizeBytes } = content;
    for (const [index, change] of this.#journal.entries()) {
      const sizeShows = shows(change, index, sizeMoment);
      if (change.kind === "truncate") {
        if (sizeShows) content.resize((sizeBytes = change.sizeBytes));
        continue;
      }
      const { data, positionBytes } = change;
      for (const { sector, from, to } of sectorsOf(positionBytes, data.byteLength)) {
        let until = momentOfSector.get(sector);
        if (until === undefined) momentOfSector.set(sector, (until = moment()));
        if (shows(change, index, until)) content.write(data.subarray(from - positionBytes, to - positionBytes), from);
      }
      if (sizeShows) sizeBytes = Math.max(sizeBytes, positionBytes + data.byteLength);
    }
    content.resize(sizeBytes);
    const found = new Inode();
    found.#durable = content;
    found.#current = content.copy();
    return found;
  }

  /** The file with all that is known about its durability: a killed process leaves it so. */
  copy(): Inode {
    const copied = new Inode();
    copied.#current = this.#current.copy();
    copied.#durable = this.#durable.copy();
    copied.#journal = this.#journal.map((change) => ({ ...change }));
    return copied;
  }

  /** Moves the synced head of the journal into `durable`; a lost or pending change holds back what follows it. */
  #settle(): void {
    const held = this.#journal.findIndex((change) => change.fate !== "synced");
    for (const change of this.#journal.splice(0, held < 0 ? this.#journal.length : held))
      if (change.kind === "write") this.#durable.write(change.data, change.positionBytes);
      else this.#durable.resize(change.sizeBytes);
  }
}

function* sectorsOf(positionBytes: number, byteCount: number): Generator<{ sector: number; from: number; to: number }> {
  const end = positionBytes + byteCount;
  for (let from = positionBytes; from < end;) {
    const sector = Math.floor(from / SECTOR_BYTES);
    const to = Math.min(end, (sector + 1) * SECTOR_BYTES);
    yield { sector, from, to };
    from = to;
  }
}
