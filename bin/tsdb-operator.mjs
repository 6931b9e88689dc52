#!/usr/bin/env node
/* The first file of `tsdb-operator`. */
import { onNewNode } from "./support/on-new-node.mjs";

onNewNode("tsdb-operator", () => import("../src/operator/main.ts"));
