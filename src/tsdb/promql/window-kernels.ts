/** Which kernel function computes which window function, and with what. The rows of functions/windows.ts, once more. */
import type { KernelExports } from "../kernel/load.ts";
import type { StepGrid } from "./plan/node.ts";

/** A series without stale markers, and where its windows lie. Columns are addresses in the kernel's memory. */
export interface WindowInput {
  readonly grid: StepGrid;
  readonly rangeMs: number;
  readonly times: number;
  readonly values: number;
  readonly sampleCount: number;
  /** 8 bytes a sample. */
  readonly scratch: number;
  readonly bounds: number;
  readonly alike: number;
  readonly parameter: number;
  /** Where the result goes, a cell for each step. */
  readonly row: number;
}

type WindowKernel = (kernel: KernelExports, input: WindowInput) => void;

export const WINDOW_KERNELS: ReadonlyMap<string, WindowKernel> = new Map<string, WindowKernel>([
  ["rate", (kernel, input) => extrapolate(kernel, input, true, seconds(input.rangeMs))],
  ["increase", (kernel, input) => extrapolate(kernel, input, true, 0)],
  ["delta", (kernel, input) => extrapolate(kernel, input, false, 0)],
  ["irate", (kernel, i) => kernel.instantChange(i.times, i.values, i.bounds, i.grid.count, 1, i.row)],
  ["idelta", (kernel, i) => kernel.instantChange(i.times, i.values, i.bounds, i.grid.count, 0, i.row)],
  ["changes", (kernel, i) => kernel.countChanges(i.values, i.bounds, i.grid.count, i.scratch, i.sampleCount, i.row)],
  ["resets", (kernel, i) => kernel.countResets(i.values, i.bounds, i.grid.count, i.scratch, i.sampleCount, i.row)],
  ["deriv", (kernel, i) => kernel.slope(i.times, i.values, i.bounds, i.grid.count, i.row)],
  ["sum_over_time", (kernel, i) => kernel.sumOverTime(i.values, i.bounds, i.grid.count, i.row)],
  ["avg_over_time", (kernel, i) => kernel.avgOverTime(i.values, i.bounds, i.grid.count, i.row)],
  ["min_over_time", (kernel, i) => kernel.extremeOverTime(i.values, i.bounds, i.grid.count, 0, i.scratch, i.row)],
  ["max_over_time", (kernel, i) => kernel.extremeOverTime(i.values, i.bounds, i.grid.count, 1, i.scratch, i.row)],
  ["count_over_time", (kernel, i) => kernel.countOverTime(i.bounds, i.grid.count, i.row)],
  ["first_over_time", (kernel, i) => kernel.firstOverTime(i.values, i.bounds, i.grid.count, i.row)],
  ["last_over_time", (kernel, i) => kernel.lastOverTime(i.values, i.bounds, i.grid.count, i.row)],
  ["present_over_time", (kernel, i) => kernel.presentOverTime(i.bounds, i.grid.count, i.row)],
  ["stddev_over_time", (kernel, i) => kernel.varianceOverTime(i.values, i.bounds, i.grid.count, 1, i.row)],
  ["stdvar_over_time", (kernel, i) => kernel.varianceOverTime(i.values, i.bounds, i.grid.count, 0, i.row)],
  [
    "quantile_over_time",
    (kernel, i) => kernel.quantileOverTime(i.values, i.bounds, i.grid.count, i.parameter, i.scratch, i.row),
  ],
]);

function extrapolate(kernel: KernelExports, input: WindowInput, isCounter: boolean, perSeconds: number): void {
  const { grid, rangeMs, times, values, sampleCount, scratch, bounds, alike, row } = input;
  const resetCount = isCounter ? kernel.findResets(values, sampleCount, scratch) : 0;
  kernel.extrapolate(
    times,
    values,
    bounds,
    alike,
    grid.startMs,
    grid.stepMs,
    grid.count,
    rangeMs,
    isCounter ? 1 : 0,
    scratch,
    resetCount,
    perSeconds,
    row,
  );
}

/** As Go's Duration.Seconds: whole seconds and the rest are divided apart, which may round differently. */
const seconds = (durationMs: number): number =>
  Math.floor(durationMs / 1000) + ((durationMs % 1000) * 1_000_000) / 1_000_000_000;
