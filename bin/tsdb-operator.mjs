#!/usr/bin/env -S node --optimize-for-size
/* The first file of `tsdb-operator`, which has little to do and much to hold: garbage is to be collected early. */
import { onNewNode } from "./support/on-new-node.mjs";

onNewNode("tsdb-operator", () => import("../src/operator/main.ts"));
