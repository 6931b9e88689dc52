/**
 * `npm run check`: everything about the code that can be told without running it, all steps even when one fails.
 *
 *   npm run check                  types, lint, imports, format
 *   npm run check -- lint format   only these steps
 *   npm run check -- --fix         formats, and applies the linter's safe fixes, before it checks
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Step {
  readonly name: string;
  readonly what: string;
  readonly command: readonly string[];
  /** What `--fix` runs before the command. */
  readonly fix?: readonly string[];
  /** What to do when the command fails. */
  readonly remedy: string;
}

const steps: readonly Step[] = [
  {
    name: "types",
    what: "the compiler, at its strictest (tsconfig.json)",
    command: ["tsc", "--noEmit", "--project", "."],
    remedy: "Fix the types at the lines above; `any` and assertions that silence the compiler are not fixes.",
  },
  {
    name: "lint",
    what: "oxlint with type-aware rules (.oxlintrc.json)",
    command: ["oxlint", "--deny-warnings", "--report-unused-disable-directives"],
    fix: ["oxlint", "--fix"],
    remedy:
      "`npm run check -- --fix` fixes what can be fixed safely. A line with a good reason to break a rule says it in " +
      "`// oxlint-disable-next-line RULE -- REASON`.",
  },
  {
    name: "imports",
    what: "directions of imports and the order of the house (test/tidy)",
    command: ["vitest", "run", "test/tidy"],
    remedy: "Each failure says what to move, write or list.",
  },
  {
    name: "format",
    what: "oxfmt (.oxfmtrc.json)",
    command: ["oxfmt", "--check"],
    fix: ["oxfmt"],
    remedy: "`npm run check -- --fix` formats every file.",
  },
];

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const options = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const unknown = [
  ...wanted.filter((name) => !steps.some((step) => step.name === name)),
  ...options.filter((option) => option !== "--fix"),
];
if (unknown.length > 0) {
  const known = steps.map(({ name, what }) => `  ${name.padEnd(8)} ${what}`).join("\n");
  console.log(`Not a step of the check: ${unknown.join(", ")}. Steps, and --fix:\n${known}`);
  process.exit(2);
}

function run([program, ...args]: readonly string[]): { readonly passed: boolean; readonly output: string } {
  const path = join(root, "node_modules/.bin", program!);
  if (!existsSync(path)) return { passed: false, output: `${program} is not installed: run \`npm ci\`` };
  // The programs are scripts that begin with `env node`: the Node of this process, not the machine's.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` };
  const { status, stdout, stderr } = spawnSync(path, args, { cwd: root, env, encoding: "utf8", maxBuffer: 2 ** 28 });
  return { passed: status === 0, output: `${stdout}${stderr}` };
}

let failures = 0;
for (const step of steps) {
  if (wanted.length > 0 && !wanted.includes(step.name)) continue;
  const startMs = performance.now();
  if (options.includes("--fix") && step.fix) run(step.fix);
  const { passed, output } = run(step.command);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (passed) console.log(`ok    ${step.name.padEnd(8)} ${seconds} s`);
  else {
    failures++;
    console.log(`${output.trimEnd()}\nFAIL  ${step.name.padEnd(8)} ${seconds} s  ${step.remedy}`);
  }
}
process.exitCode = failures === 0 ? 0 : 1;
