/** Values of one series, by the class of metric: what chunks of samples are made of. Every run makes the same values. */
import type { Random } from "../../test/support/random.ts";
import type { ValueKind } from "./population.ts";

/** Goes on from sample to sample. */
export type Values = () => number;

const decimals =
  (places: number) =>
  (value: number): number =>
    Math.round(value * 10 ** places) / 10 ** places;
const cents = decimals(2);
const tenths = decimals(1);

/** The first three are those of a node_exporter (population.ts). */
export const VALUE_CLASSES: Readonly<Record<string, (random: Random) => Values>> = {
  "constant, nearly": (random) => {
    let value = random.below(4096);
    return () => (random.chance(0.002) ? ++value : value);
  },
  "counter, 0-2000 a step": (random) => {
    let value = random.below(1e9);
    return () => (value += random.below(2000));
  },
  "counter of hundredths": (random) => {
    let value = cents(random.next() * 1e6);
    return () => (value = cents(value + random.next() * 15));
  },
  "counter that mostly rests": (random) => {
    let value = random.below(1e9);
    return () => (value += random.chance(0.9) ? 0 : random.below(1000));
  },
  "counter with resets": (random) => {
    let value = random.below(1e9);
    return () => (value = random.chance(0.002) ? 0 : value + random.below(2000));
  },
  "gauge of tenths that walks": (random) => {
    let value = 200;
    return () => (value = tenths(value + (random.next() - 0.5) * 3));
  },
  "gauge of hundredths": (random) => () => cents(50 + random.next() * 50),
  "bytes in pages of 4 KiB": (random) => {
    let pages = 250_000;
    return () => 4096 * (pages += random.between(-1000, 1000));
  },
  "sum of doubles": (random) => {
    let value = 0;
    return () => (value += random.next() * 10);
  },
  "ratio of two gauges": (random) => {
    let used = 1000;
    return () => (used += random.between(-5, 5)) / 4096.7;
  },
};

/** The class of a node_exporter's series of each kind. */
export const CLASS_OF_KIND: Readonly<Record<ValueKind, string>> = {
  constant: "constant, nearly",
  counter: "counter, 0-2000 a step",
  seconds: "counter of hundredths",
};
