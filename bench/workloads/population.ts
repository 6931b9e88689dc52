/** What a benchmark's series are: many targets with the same series, told apart by a few labels. */

/** How a series' value goes on: hardly ever changes; grows by whole numbers; grows with two decimals. */
export type ValueKind = "constant" | "counter" | "seconds";

export interface SeriesShape {
  /** Without the labels that all series of a target share. */
  readonly labels: Readonly<Record<string, string>>;
  readonly kind: ValueKind;
}

export interface Population {
  /** One target's series, in the order in which they are scraped. */
  readonly series: readonly SeriesShape[];
  /**
   * The labels that all series of a target share. Each value is as long for one target as for another, so that the bytes
   * of one target's message are those of another's with a few places written over.
   */
  readonly targetLabels: (target: number) => Readonly<Record<string, string>>;
}
