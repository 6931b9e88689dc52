/** The series of an import: each label set once, under a number; and the order of their label sets, once all are known. */
import { compareLabelSets, type LabelSet } from "../model/labels.ts";

export class SeriesTable {
  readonly #numbers = new Map<string, number>();
  readonly #labels: LabelSet[] = [];
  /** Each text once: names and values repeat. */
  readonly #texts = new Map<string, string>();

  get count(): number {
    return this.#labels.length;
  }

  /** @param labels in order, each name once */
  number(labels: LabelSet): number {
    const key = JSON.stringify(labels);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#labels.push(labels.map(([name, value]) => [this.#text(name), this.#text(value)])) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  labelsOf(number: number): LabelSet {
    return this.#labels[number]!;
  }

  /** Numbers in the order of label sets. */
  ordered(): Uint32Array {
    return Uint32Array.from(this.#labels.keys()).sort((a, b) => compareLabelSets(this.#labels[a]!, this.#labels[b]!));
  }

  #text(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }
}
