#!/usr/bin/env node
/* The first file of `tsdb-operator`. */
import { setFlagsFromString } from "v8";
import { onNewNode } from "./support/on-new-node.mjs";

// It has little to do and much to hold: garbage is to be collected early. Before anything is loaded, or it has no effect.
setFlagsFromString("--optimize-for-size");

onNewNode("tsdb-operator", () => import("../src/operator/main.ts"));
