/** Which release this is, and which files it writes. */
import packageJson from "../../package.json" with { type: "json" };

export const version: string = packageJson.version;

/** The commit of a release, put in by whoever builds it. */
export const revision: string = process.env["TSDB_REVISION"] ?? "unknown";

/** Of the files in the data directory: one more with every change that older versions cannot read. */
export const FORMAT_VERSION = 2;
