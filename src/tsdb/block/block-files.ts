/** What the directory of a block holds, and what directories that are none yet, or none any more, are called. */
export const META_FILE = "meta.json";
export const MANIFEST_FILE = "manifest.json";
export const INDEX_FILE = "index";
export const TOMBSTONES_FILE = "tombstones";
export const CHUNKS_DIR = "chunks";

/** Of directories in which a block is being written; the names are Prometheus', which removes such directories, too. */
export const CREATION_SUFFIX = ".tmp-for-creation";
export const DELETION_SUFFIX = ".tmp-for-deletion";
