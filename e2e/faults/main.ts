/**
 * Whether the tests see what they are there for: puts each deliberate fault of table.ts into the operator, one at a time, and
 * demands that a test which stands against it fails. That the tests pass without a fault is for `npm test` and `npm run e2e`
 * to say.
 *
 *   node e2e/faults/main.ts            all of them: a few minutes
 *   node e2e/faults/main.ts volume     those with a word in what they do
 *
 * Those that only a real API server shows start one, as e2e/cluster does.
 */
import { fileURLToPath } from "node:url";
import { createVitest } from "vitest/node";
import type { TestModule } from "vitest/node";
import type { TestProjectInlineConfiguration } from "vitest/config";
import { changed, checkChange, environmentOf } from "../support/changed-source.ts";
import { faults } from "./table.ts";
import type { DeliberateFault } from "./table.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

const words = process.argv.slice(2);
const chosen = faults.filter(({ what }) => words.every((word) => what.includes(word)));
if (chosen.length === 0) throw new Error(`no fault has ${words.join(" ")} in what it does`);
for (const fault of chosen) checkChange(fault);

const isOfCluster = ({ test }: DeliberateFault): boolean => test !== undefined;

/** Each fault is a project of its own: tests on other sources. @returns what is wrong with the tests */
async function run(
  these: readonly DeliberateFault[],
  folder: string,
  globalSetup: readonly string[],
): Promise<string[]> {
  if (these.length === 0) return [];
  const projects = these.map((fault): TestProjectInlineConfiguration => ({
    plugins: [
      {
        name: "deliberate-fault",
        enforce: "pre",
        transform: (source: string, id: string) => changed(fault, id.split("?")[0]!, source),
      },
    ],
    test: {
      name: fault.what,
      root,
      include: [],
      pool: "forks",
      testTimeout: isOfCluster(fault) ? 300_000 : 60_000,
      hookTimeout: 300_000,
      // The operator's own processes have it, too.
      env: isOfCluster(fault) ? environmentOf(fault) : {},
    },
  }));
  const problems: string[] = [];
  const judge = (module: TestModule): void => {
    const fault = these.find(({ what }) => what === module.project.name)!;
    const failed = [...module.children.allTests("failed")].find(({ name }) => name === (fault.test ?? name));
    if (failed === undefined) problems.push(`${fault.caughtBy} does not see it when ${fault.what}`);
    else console.log(`${fault.what}\n    seen by ${fault.caughtBy}: ${failed.name}`);
  };
  const vitest = await createVitest({
    config: false,
    root,
    watch: false,
    reporters: [{ onTestModuleEnd: judge }],
    maxWorkers: 2,
    // It tells plugins apart by their names, and would give one fault's module to another.
    fsModuleCache: false,
    globalSetup: [...globalSetup],
    projects,
  });
  try {
    const { testModules } = await vitest.runTestSpecifications(
      vitest.projects.map((project) => {
        const { caughtBy, test } = these.find(({ what }) => what === project.name)!;
        const only = test === undefined ? {} : { testNamePattern: new RegExp(RegExp.escape(test)) };
        return project.createSpecification(`${root}${folder}/${caughtBy}`, only);
      }),
    );
    if (testModules.length !== these.length)
      problems.push(`of ${these.length} faults ${testModules.length} were tried`);
    return problems;
  } finally {
    await vitest.close();
  }
}

const startMs = performance.now();
const problems = [
  ...(await run(
    chosen.filter((fault) => !isOfCluster(fault)),
    "test/operator",
    [],
  )),
  ...(await run(chosen.filter(isOfCluster), "e2e/cluster", [`${root}e2e/cluster/support/suite-setup.ts`])),
];
for (const problem of problems) console.log(`FAILED ${problem}`);
const seconds = Math.round((performance.now() - startMs) / 1000);
console.log(`faults: ${chosen.length} put in, ${chosen.length - problems.length} seen, ${seconds} s`);
// Vitest has set it, because tests failed as they should.
process.exitCode = problems.length === 0 ? 0 : 1;
