/**
 * Readers against the writer on shared memory, for as long as is asked: `node e2e/races/main.ts --seconds 600`. First the
 * release build until at least 10 M cells were recycled, then the debug build, whose canaries fill what is freed; at last
 * the debug build with epochs switched off, and with views, where torn reads must show, or the race would not see any.
 *   --seconds N   of the first two parts together (default 120)
 *   --cells N     recycled in the first part at least (default 10,000,000)
 *   --seed N      repeats the choices of a run, if not its timing
 */
import { parseArgs } from "node:util";
import { race, type RaceResult } from "../../test/support/race/race.ts";

const READERS = 3;
const WITHOUT_EPOCHS_SECONDS = 120;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "120" },
    cells: { type: "string", default: "10000000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);

function print(part: string, result: RaceResult): void {
  const figures = [
    `${(result.cellsRecycled / 1e6).toFixed(2)} M cells recycled`,
    `${(result.seriesCollected / 1e3).toFixed(1)} k series collected`,
    `${(result.samplesWritten / 1e6).toFixed(1)} M samples written`,
    `${(result.samplesRead / 1e6).toFixed(1)} M read`,
    `${(result.seriesSelected / 1e6).toFixed(2)} M series selected`,
    `${result.torn} torn`,
    `${result.readersKilled} readers killed`,
  ];
  console.log(`races, ${part}: ${figures.join(", ")} in ${result.seconds.toFixed(0)} s (seed ${seed})`);
  for (const finding of result.findings) console.log(`  ${finding}`);
}

const enough = { seed, readers: READERS, cells: 0, samplesRead: 1_000_000, readersKilled: 10 };
const release = await race({ ...enough, seconds: seconds * 0.7, cells: Number(values.cells), debug: false });
print("release build", release);
const debug = await race({ ...enough, seconds: seconds * 0.3, debug: true });
print("debug build", debug);
const broken = await race({ ...enough, seconds: WITHOUT_EPOCHS_SECONDS, debug: true, withoutEpochs: true });
print("debug build without epochs", broken);
const blind = await race({ ...enough, seconds: WITHOUT_EPOCHS_SECONDS, debug: true, withoutViews: true });
print("debug build without views", blind);

if (release.torn + debug.torn > 0) throw new Error("Torn reads were found");
if (blind.torn === 0) throw new Error("Without views nothing was torn: this race cannot see what it looks for");
if (broken.torn === 0) throw new Error("Without epochs nothing was torn: this race cannot see what it looks for");
