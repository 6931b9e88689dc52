/**
 * The YAML configuration file: read with its positions, so that every complaint names file, line and column.
 * Bounded before it is believed: 1 MiB, few aliases, no custom tags, no key twice, one document.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { isAlias, isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from "yaml";
import { didYouMean } from "../../base/did-you-mean.ts";
import { errnoOf, messageOf } from "../../base/errors.ts";
import { allSettings, type NamedSetting } from "./settings.ts";

export const FILE_BYTES_MAX = 1024 * 1024;
export const ALIASES_MAX = 100;

/** A value the file gives, with the place it is written at (counted from 1). */
export interface FileValue {
  readonly setting: NamedSetting;
  readonly value: unknown;
  readonly line: number;
  readonly column: number;
}

export interface FileContents {
  readonly values: readonly FileValue[];
  /** Complaints, each beginning `file:line:column: `; values are worth nothing unless it is empty. */
  readonly problems: readonly string[];
}

/** Reads a file's text, but never more than the limit; the problem as a sentence where that is not possible. */
export function readConfigFile(path: string): { readonly text: string } | { readonly problem: string } {
  try {
    const fd = openSync(path, "r");
    try {
      const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read)
        read = readSync(fd, bytes, length, bytes.length - length, null);
      if (length > FILE_BYTES_MAX) return { problem: `${path}: larger than 1 MiB, the limit of a configuration file` };
      return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length)) };
    } finally {
      closeSync(fd);
    }
  } catch (thrown) {
    const reasons: Record<string, string> = {
      ENOENT: "there is no such file; give the path of an existing file with --config",
      EACCES: "permission denied",
      EISDIR: "it is a directory; give the path of a file",
      ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text",
    };
    return {
      problem: `Cannot read the configuration file ${path}: ${reasons[errnoOf(thrown) ?? ""] ?? messageOf(thrown)}`,
    };
  }
}

/** @param file name to put before the complaints */
export function parseConfigFile(text: string, file: string): FileContents {
  const lines = new LineCounter();
  const problems: string[] = [];
  const complain = (offset: number, message: string): void => {
    const { line, col } = lines.linePos(offset);
    problems.push(`${file}:${line}:${col}: ${message}`);
  };

  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, stringKeys: true });
  } catch (thrown) {
    // Nesting that outgrows the parser's stack is the one thing it throws on.
    return { values: [], problems: [`${file}:1:1: not readable as YAML: ${yamlMessage(messageOf(thrown))}`] };
  }
  for (const { pos, code, message } of [...document.errors, ...document.warnings]) {
    complain(pos[0], yamlMessage(message));
    // What follows a syntax error is mostly its echo.
    if (code !== "DUPLICATE_KEY" && code !== "TAG_RESOLVE_FAILED") break;
  }
  if (problems.length > 0) return { values: [], problems };
  if (countAliases(document) > ALIASES_MAX)
    return { values: [], problems: [`${file}:1:1: more than ${ALIASES_MAX} aliases`] };

  const resolve = (node: unknown): unknown => {
    if (!isAlias(node)) return node;
    const target = node.resolve(document);
    if (!target) complain(offsetOf(node), `there is no anchor &${node.source} before this`);
    return target ?? null;
  };
  const offsetOf = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;
  const sections = [...new Set(allSettings.map(({ key }) => sectionOf(key)))];
  const values: FileValue[] = [];
  const readValue = (setting: NamedSetting, keyNode: unknown, valueNode: unknown): void => {
    const scalar = resolve(valueNode);
    const place = valueNode === null || (isScalar(scalar) && scalar.value === null) ? keyNode : valueNode;
    const { line, col: column } = lines.linePos(offsetOf(place));
    const value = isScalar(scalar) ? scalar.value : scalar;
    const parsed = setting.kind.schema.safeParse(isMap(value) ? undefined : value);
    if (parsed.success) values.push({ setting, value: parsed.data, line, column });
    else complain(offsetOf(place), badValue(setting.key, shown(value, scalar), setting));
  };

  const root = resolve(document.contents);
  const isEmpty = root === null || (isScalar(root) && root.value === null);
  if (isEmpty) return { values, problems };
  if (!isMap(root)) {
    complain(offsetOf(root), `expected sections: ${sections.join(", ")}`);
    return { values, problems };
  }
  for (const { key: sectionNode, value: sectionValue } of root.items) {
    const section = String(isScalar(sectionNode) ? sectionNode.value : sectionNode);
    const alone = allSettings.find(({ key }) => key === section);
    if (alone !== undefined) {
      readValue(alone, sectionNode, sectionValue);
      continue;
    }
    const known = allSettings.filter(({ key }) => key.startsWith(`${section}.`));
    if (known.length === 0) {
      complain(offsetOf(sectionNode), unknownSection(section, sections));
      continue;
    }
    const body = resolve(sectionValue);
    // A section whose keys are all commented out reads as null, and says nothing.
    if (body === null || (isScalar(body) && body.value === null)) continue;
    if (!isMap(body)) {
      complain(offsetOf(body), `${section} is a section: expected its keys below it: ${keyNames(known)}`);
      continue;
    }
    for (const { key: keyNode, value: valueNode } of body.items) {
      const key = String(isScalar(keyNode) ? keyNode.value : keyNode);
      const setting = known.find((candidate) => candidate.key === `${section}.${key}`);
      if (!setting) {
        complain(offsetOf(keyNode), unknownKey(key, section, known));
        continue;
      }
      readValue(setting, keyNode, valueNode);
    }
  }
  return { values, problems };
}

/** What is wrong with one value, wherever it was given. */
export const badValue = (where: string, given: string, setting: NamedSetting): string =>
  `${where} ${given}: expected ${setting.kind.expected}`;

function shown(value: unknown, node: unknown): string {
  if (value === null || value === undefined) return "has no value";
  if (typeof value === "string") return `is ${JSON.stringify(value)}`;
  if (typeof value === "number" || typeof value === "boolean") return `is ${value}`;
  return isMap(node) ? "is a section" : "is a list";
}

/** Of a key that stands in no section, the key. */
const sectionOf = (key: string): string => key.split(".", 1)[0]!;
const keyOf = (key: string): string => key.slice(key.indexOf(".") + 1);
const keyNames = (known: readonly NamedSetting[]): string => known.map(({ key }) => keyOf(key)).join(", ");

function unknownSection(section: string, sections: readonly string[]): string {
  const home = allSettings.find(
    ({ key, flag }) => keyOf(key) === section || key.replace(".", "_") === section || flag === section,
  );
  const guess = didYouMean(section, sections);
  const hint = guess ? `; did you mean "${guess}"?` : home ? `; did you mean ${home.key}?` : ".";
  return `unknown section "${section}"${hint} Allowed: ${sections.join(", ")}`;
}

function unknownKey(key: string, section: string, known: readonly NamedSetting[]): string {
  const guess = didYouMean(
    key,
    known.map((candidate) => keyOf(candidate.key)),
  );
  const elsewhere = allSettings.find((candidate) => keyOf(candidate.key) === key);
  const hint = elsewhere ? `; did you mean ${elsewhere.key}?` : guess ? `; did you mean "${guess}"?` : ".";
  return `unknown key "${key}" in ${section}${hint} Allowed: ${keyNames(known)}`;
}

/** The parser's words, where ours are plainer. */
function yamlMessage(message: string): string {
  if (message.startsWith("Map keys must be unique")) return "this key is already given above";
  if (message.startsWith("Source contains multiple documents")) return "expected one YAML document, found a second";
  if (message.startsWith("With stringKeys")) return "keys must be words";
  if (/Missing closing ["']quote/.test(message)) return "the quote before this is not closed";
  if (/call stack|Stack overflow/.test(message)) return "nested too deeply";
  if (message.startsWith("Unresolved tag"))
    return `${message.replace("Unresolved tag:", "tag").trim()} is not allowed here`;
  return message;
}

function countAliases(document: Document.Parsed): number {
  let count = 0;
  const pending: unknown[] = [document.contents];
  while (pending.length > 0) {
    const node = pending.pop();
    if (isAlias(node)) count++;
    const items = (node as { items?: unknown[] } | null)?.items;
    if (Array.isArray(items))
      for (const item of items) {
        const { key, value } = (item ?? {}) as { key?: unknown; value?: unknown };
        if (key !== undefined || value !== undefined) pending.push(key, value);
        else pending.push(item);
      }
  }
  return count;
}
