/** Chunks of one series of one source, in kernel memory, ordered by their first times. Columns that are used again. */

export class ChunkList {
  /** For messages: which block, or the head. */
  readonly source: string;
  count = 0;
  readonly address: number[] = [];
  readonly bytes: number[] = [];
  readonly encoding: number[] = [];
  /** Not after the first sample of a chunk, and not before its last; ms. */
  readonly mint: number[] = [];
  readonly maxt: number[] = [];
  /** What is deleted, both ends inclusive: mint, maxt, mint, maxt, ... */
  readonly deleted: number[] = [];

  constructor(source: string) {
    this.source = source;
  }

  clear(): void {
    this.count = this.deleted.length = 0;
  }

  add(address: number, bytes: number, encoding: number, mint: number, maxt: number): void {
    const i = this.count++;
    this.address[i] = address;
    this.bytes[i] = bytes;
    this.encoding[i] = encoding;
    this.mint[i] = mint;
    this.maxt[i] = maxt;
  }

  remove(i: number): void {
    for (const column of [this.address, this.bytes, this.encoding, this.mint, this.maxt]) column.splice(i, 1);
    this.count--;
  }

  /** Whether any, or all, of a chunk may be deleted. */
  deletionOf(i: number): "none" | "part" | "all" {
    const { deleted } = this;
    const [mint, maxt] = [this.mint[i]!, this.maxt[i]!];
    let found: "none" | "part" = "none";
    for (let at = 0; at < deleted.length; at += 2) {
      if (deleted[at]! > maxt || deleted[at + 1]! < mint) continue;
      if (deleted[at]! <= mint && deleted[at + 1]! >= maxt) return "all";
      found = "part";
    }
    return found;
  }
}
