/** How thorough the fault tests are. */

/** FAULTS=all: everything is tried, which takes hours. Otherwise a sample, another with each seed. */
export const isExhaustive = process.env["FAULTS"] === "all";

/** Hundreds of starts: seconds alone, more beside other tests. */
export const TIMEOUT_MS = isExhaustive ? 12 * 3_600_000 : 900_000;
