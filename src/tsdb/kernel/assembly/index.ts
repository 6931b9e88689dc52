/** The kernel's exports: all that runs per sample or per series. See layout.ts for the memory they work on. */
export * from "./bytes";
export * from "./snappy";
export * from "./siphash";
export * from "./xor";
export * from "./window";
