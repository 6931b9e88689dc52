/** What the kernel says about a running process and about a folder: CPU, memory, disk. Linux only. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Ticks a second of /proc's CPU times: 100 on every Linux that Node runs on. */
const TICKS = 100;

/** User and system time of all threads, those that ended included. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

export interface MemoryUsage {
  readonly rssBytes: number;
  readonly peakRssBytes: number;
}

export function memoryUsage(pid: number): MemoryUsage {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const kibibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? NaN) * 1024;
  return { rssBytes: kibibytes("VmRSS"), peakRssBytes: kibibytes("VmHWM") };
}

/** Lets the peak count anew from what is in use now. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** Bytes of all files below a folder: what was written, not what was reserved ahead, and not more than is on disk. */
export function diskBytes(folder: string): number {
  let total = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    // Files come and go while we look.
    const stat = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
    if (stat !== undefined) total += Math.min(stat.size, stat.blocks * 512);
  }
  return total;
}
