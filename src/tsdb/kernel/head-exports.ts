/** What the kernel exports for the head's memory: tables, ingest, WAL records, selection. */
export interface HeadExports {}
