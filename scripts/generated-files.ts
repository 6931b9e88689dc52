/** Every file of the tree that is made from code, by its path from the root. */
import { apiFiles } from "./api-files.ts";
import { deploymentFiles } from "./deployment/files.ts";
import { referenceDocs } from "./reference-docs.ts";

export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  return new Map([...(await referenceDocs()), ...apiFiles(), ...deploymentFiles()]);
}
