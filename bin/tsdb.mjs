#!/usr/bin/env node
/* The first file of `tsdb`. */
import { onNewNode } from "./support/on-new-node.mjs";

onNewNode("tsdb", () => import("../src/tsdb/main.ts"));
