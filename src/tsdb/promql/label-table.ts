/**
 * Label names and pairs of one query as small integers. Every source interns what it hands out here, so grouping,
 * matching and joining compare numbers and never depend on where a series lives.
 */
import type { LabelPair } from "../model/labels.ts";

export class LabelTable {
  readonly #nameIds = new Map<string, number>();
  readonly #names: string[] = [];
  /** Per name id: value to pair id. */
  readonly #pairIds: Map<string, number>[] = [];
  readonly #pairNameIds: number[] = [];
  readonly #pairValues: string[] = [];

  nameId(name: string): number {
    let id = this.#nameIds.get(name);
    if (id === undefined) {
      id = this.#names.length;
      this.#nameIds.set(name, id);
      this.#names.push(name);
      this.#pairIds.push(new Map());
    }
    return id;
  }

  pairId(name: string, value: string): number {
    const nameId = this.nameId(name);
    const ids = this.#pairIds[nameId]!;
    let id = ids.get(value);
    if (id === undefined) {
      id = this.#pairValues.length;
      ids.set(value, id);
      this.#pairNameIds.push(nameId);
      this.#pairValues.push(value);
    }
    return id;
  }

  get nameCount(): number {
    return this.#names.length;
  }

  get pairCount(): number {
    return this.#pairValues.length;
  }

  name = (nameId: number): string => this.#names[nameId]!;
  nameIdOf = (pairId: number): number => this.#pairNameIds[pairId]!;
  valueOf = (pairId: number): string => this.#pairValues[pairId]!;
  pair = (pairId: number): LabelPair => [this.#names[this.#pairNameIds[pairId]!]!, this.#pairValues[pairId]!];
}
