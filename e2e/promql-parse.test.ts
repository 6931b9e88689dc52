/**
 * Prometheus and this server are asked to lay out the same queries: those recorded for the parser's tests, and mutations of
 * them. Both must give the same text, or refuse with the same words at the same place.
 */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Random, seedFromEnv } from "../test/support/random.ts";
import { ask } from "./support/http.ts";
import { startPrometheus } from "./support/prometheus.ts";
import { startTsdb } from "./support/tsdb.ts";
import { Workspace } from "./support/workspace.ts";

const workspace = new Workspace("promql-parse");
let failed = true; // until it is known better, so that the logs stay when nothing starts
let ours: string;
let theirs: string;

beforeAll(async () => {
  const flags = ["--enable-feature=promql-experimental-functions,promql-binop-fill-modifiers"];
  const [tsdb, prometheus] = await Promise.all([
    startTsdb(workspace),
    startPrometheus(workspace, { config: () => "", flags }),
  ]);
  [ours, theirs] = [tsdb.url, prometheus.url];
  failed = false;
});
afterEach(({ task }) => {
  failed ||= task.result?.state === "fail";
});
afterAll(() => workspace.close({ failed }));

const recorded = (name: string): string[] =>
  (
    JSON.parse(readFileSync(new URL(`../test/testdata/promql-parse/${name}`, import.meta.url), "utf8")) as [string][]
  ).map(([query]) => query);
const queries = [...recorded("accepted.json"), ...recorded("refused.json")];

async function laidOut(url: string, query: string): Promise<string> {
  const { text } = await ask(url, { path: "/api/v1/format_query", parameters: [["query", query]], method: "POST" });
  const { data, error } = JSON.parse(text) as { readonly data?: string; readonly error?: string };
  return data ?? error ?? text;
}

/** The queries on which they disagree, with both answers. */
async function differences(of: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const waiting = [...of];
  const work = async (): Promise<void> => {
    for (let query = waiting.pop(); query !== undefined; query = waiting.pop()) {
      const [our, their] = await Promise.all([laidOut(ours, query), laidOut(theirs, query)]);
      if (our !== their) found.push(`${JSON.stringify(query)}\n  here       ${our}\n  Prometheus ${their}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return found;
}

test("what was recorded from Prometheus is what it says", async () => {
  expect(await differences(queries)).toEqual([]);
});

const pieces = [
  ..."sum|by (a)|without|on (a)|group_left|offset|@|start()|step()|max_of(1m,2m)|bool|and|unless|fill(1)|anchored".split(
    "|",
  ),
  ...'(|)|[|]|{|}|,|:|=|!=|=~|==|<=|</|>/|+|-|*|^|1|0|5m|0x1F|1e3|Inf|"x"|`y`|foo|a:b|[5m]|[1h:5m]|rate|topk|info|#c\n'.split(
    "|",
  ),
];
const tokensOf = (query: string): string[] => query.match(/"(?:[^"\\]|\\.)*"|'[^']*'|[\w:.]+|\s+|[<>=!~]+|./gsu) ?? [];

/** One to three changes to the tokens of a query. */
function mutated(query: string, random: Random): string {
  const tokens = tokensOf(query);
  for (let changes = random.between(1, 3); changes > 0; changes--) {
    const at = random.below(tokens.length + 1);
    const isRemoved = random.chance(0.5) ? 1 : 0;
    tokens.splice(at, isRemoved, ...(random.chance(0.7) ? [` ${random.pick(pieces)} `] : []));
    if (random.chance(0.2)) tokens.splice(at, 0, ...tokensOf(random.pick(queries)).slice(0, random.below(8)));
  }
  return tokens.join("").toWellFormed();
}

/** Where Prometheus overflows or rounds by accident, and we do not: the parser's tests name these. */
const isAccident = (query: string): boolean =>
  /offset[^a-z]*nan|@\s*[-+]?\s*(?:\d[\d_.]{15}|[\d.]+e\d\d)|\d[1-9]\d*ms|0\.\d{4}/i.test(query) || query.length > 2000;

test("any mutation of a query is judged alike", async () => {
  const seed = seedFromEnv();
  const random = new Random(seed);
  const mutants = Array.from({ length: 2000 }, () => mutated(random.pick(queries), random)).filter(
    (query) => !isAccident(query),
  );
  expect(await differences(mutants), `repeat with SEED=${seed}`).toEqual([]);
});
