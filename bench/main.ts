/**
 * `npm run bench -- NAME`: measures this database beside VictoriaMetrics and Prometheus. What each benchmark asks, how it is
 * measured and what came out last: docs/benchmarks.md.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { blocks } from "./blocks.ts";
import { codecs } from "./codecs.ts";
import { compaction } from "./compaction.ts";
import { ingest } from "./ingest.ts";
import { memory } from "./memory.ts";
import { query } from "./query.ts";
import { replay } from "./replay.ts";
import { environment, pinToLoadCore } from "./support/environment.ts";
import { profileSections } from "./support/profile.ts";
import { printOutcome, printSections, type Benchmark } from "./support/report.ts";
import { removeFolders } from "./support/servers.ts";

const benchmarks: readonly Benchmark[] = [ingest, query, blocks, memory, replay, codecs, compaction];

const usage = `npm run bench -- NAME [flags]

${benchmarks.map(({ name, question }) => `  ${name.padEnd(10)} ${question}`).join("\n")}

  --quick              about a minute, to see that it works
  --rounds N           how often each server is measured
  --request-sizes A,B  ingest: samples a request (default 100,500,2000)
  --connections N      ingest: connections of the load (default 8)
  --servers A,B        only servers whose names begin so: tsdb, victoria, prometheus
  --profile DIR        leave CPU profiles of our server there, and say what they say; costs a few per cent
  --json FILE          write the figures there as well

Needs Linux, two cores, taskset, and for the peers e2e/peers/build.sh.`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    "request-sizes": { type: "string", default: "100,500,2000" },
    connections: { type: "string", default: "8" },
    servers: { type: "string" },
    profile: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const benchmark = benchmarks.find(({ name }) => name === positionals[0]);
if (benchmark === undefined || positionals.length > 1 || flags.help) {
  console.log(usage);
  process.exit(flags.help ? 0 : 2);
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    removeFolders();
    process.exit(1);
  });

pinToLoadCore();
const where = environment();
console.log(`${benchmark.name}: ${benchmark.question}`);
const outcome = await benchmark.run({
  isQuick: flags.quick,
  rounds: flags.rounds === undefined ? undefined : Number(flags.rounds),
  connections: Number(flags.connections),
  requestSizes: flags["request-sizes"].split(",").map(Number),
  servers: flags.servers?.split(",") ?? [],
  profileDir: flags.profile,
  progress: (text) => process.stderr.write(`  ${text}\n`),
});
printOutcome(outcome, where);
if (flags.profile !== undefined) printSections(profileSections(flags.profile));
if (flags.json !== undefined)
  writeFileSync(
    flags.json,
    `${JSON.stringify({ benchmark: benchmark.name, ...where, flags, ...outcome }, undefined, 2)}\n`,
  );
