/** Where a server of ours spent its time: reads what Node's --cpu-prof left when it ended, one file a thread. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Section } from "./report.ts";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** µs from one sample to the next. */
  readonly timeDeltas: readonly number[];
}

const FUNCTIONS_SHOWN = 30;

/** The functions in which each thread of each process was longest, by themselves. */
export function profileSections(folder: string): Section[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cpuprofile"))
    .sort()
    .map((file) => {
      const { busyMs, functions } = selfTimes(JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile);
      const rows = functions
        .slice(0, FUNCTIONS_SHOWN)
        .map(({ name, ms }) => ({ function: name, "%": (100 * ms) / busyMs, ms }));
      return { title: `${file}: ${(busyMs / 1000).toFixed(2)} s busy`, rows };
    });
}

function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): {
  readonly busyMs: number;
  readonly functions: readonly { readonly name: string; readonly ms: number }[];
} {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === "" ? "" : ` ${url.replace(/^.*\/(?=(src|node_modules)\/)/, "")}:${lineNumber + 1}`;
      return [id, `${functionName === "" ? "(anonymous)" : functionName}${place}`];
    }),
  );
  const byName = new Map<string, number>();
  for (const [i, id] of samples.entries()) {
    const name = names.get(id)!;
    byName.set(name, (byName.get(name) ?? 0) + timeDeltas[i]! / 1000);
  }
  byName.delete("(idle)");
  const functions = [...byName].map(([name, ms]) => ({ name, ms })).sort((a, b) => b.ms - a.ms);
  return { busyMs: functions.reduce((total, { ms }) => total + ms, 0), functions };
}
