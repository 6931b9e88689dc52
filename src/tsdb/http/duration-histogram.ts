/**
 * Durations counted into buckets: an observation is a short scan and three additions, some 20 ns, where prom-client's
 * takes up to a microsecond, which the write path would notice.
 */
export class DurationHistogram {
  /** Upper bounds in seconds, ascending; the last bucket, +Inf, is implied. */
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sumSeconds = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length);
  }

  observe(seconds: number): void {
    this.#sumSeconds += seconds;
    this.#count++;
    for (let i = 0; i < this.#bounds.length; i++) {
      if (seconds > this.#bounds[i]!) continue;
      this.#counts[i]!++;
      return;
    }
  }

  /** As the exposition format has them: cumulative buckets, sum, count. */
  samples(name: string): { metricName: string; labels: Record<string, string>; value: number }[] {
    let cumulative = 0;
    const buckets = this.#bounds.map((bound, i) => {
      cumulative += this.#counts[i]!;
      return { metricName: `${name}_bucket`, labels: { le: String(bound) }, value: cumulative };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: "+Inf" }, value: this.#count },
      { metricName: `${name}_sum`, labels: {}, value: this.#sumSeconds },
      { metricName: `${name}_count`, labels: {}, value: this.#count },
    ];
  }
}
