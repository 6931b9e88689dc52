/**
 * Prometheus' PromQL test corpus: the 22 `*.test` files of Prometheus 3.16's promql/promqltest/testdata (Apache License
 * 2.0, copyright The Prometheus Authors). It lies beside this repository, in ../shared/promqltest, and by the wish of the
 * README there it is read in place and not copied: where it is missing, its tests are skipped and say why. PROMQL_CORPUS
 * names another folder that has it, such as the one in Prometheus' Go module, from which .ci/run reads it.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.env["PROMQL_CORPUS"] ?? fileURLToPath(new URL("../../../shared/promqltest", import.meta.url));

export interface CorpusFile {
  readonly name: string;
  readonly text: string;
}

/** Why the corpus cannot be read; undefined when it can. */
export const corpusMissing: string | undefined = existsSync(folder) ? undefined : `no corpus in ${folder}`;

/** All files of the corpus, by name; none where it is missing. */
export const corpusFiles = (): CorpusFile[] =>
  corpusMissing === undefined
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".test"))
        .sort()
        .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }))
    : [];
