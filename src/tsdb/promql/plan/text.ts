/** A plan as an indented tree, one node a line, for tests and for people who ask why a query is slow. */
import { quote } from "../../model/labels.ts";
import { unreachable } from "../../../base/assert.ts";
import type { Projection } from "../label-sets.ts";
import { valueText } from "../number-text.ts";
import type { PlanNode, Selection } from "./node.ts";

export function planText(node: PlanNode, indent = ""): string {
  return [indent + headline(node), ...children(node).map((child) => planText(child, `${indent}  `))].join("\n");
}

function headline(node: PlanNode): string {
  switch (node.kind) {
    case "number":
      return valueText(node.value);
    case "string":
      return quote(node.value);
    case "time":
      return "time";
    case "select":
      return `select ${node.yields === "timestamp" ? "timestamp of " : ""}${selectionText(node.selection)}`;
    case "window":
      return `window ${node.function} ${node.rangeMs}ms ${selectionText(node.selection)}`;
    case "samples":
      return `samples ${node.rangeMs}ms ${selectionText(node.selection)}`;
    case "elementwise":
      return `apply ${node.function}`;
    case "scalar-binary":
      return `scalar ${node.operator}`;
    case "vector-scalar":
      return `${node.operator}${node.returnBool ? " bool" : ""} scalar on the ${node.scalarSide}`;
    case "join":
      return `join ${node.operator}${node.returnBool ? " bool" : ""} ${node.on ? "on" : "ignoring"} (${node.labels.join(", ")})`;
    case "aggregate":
    case "rank":
      return `${node.operator} ${groupingText(node.grouping)}`;
    case "scalar-negate":
    case "negate":
      return "negate";
    case "scalar-invariant":
    case "invariant":
      return "once";
    case "scalar-of":
      return "only value";
    case "vector-of":
      return "as vector";
    case "step-time":
      return "time where present";
    default:
      return unreachable(node);
  }
}

function children(node: PlanNode): readonly PlanNode[] {
  switch (node.kind) {
    case "number":
    case "string":
    case "time":
    case "select":
    case "samples":
      return [];
    case "window":
      return node.parameter === undefined ? [] : [node.parameter];
    case "elementwise":
      return [node.input, ...node.parameters];
    case "scalar-binary":
    case "join":
      return [node.left, node.right];
    case "vector-scalar":
      return node.scalarSide === "left" ? [node.scalar, node.vector] : [node.vector, node.scalar];
    case "aggregate":
      return node.parameter === undefined ? [node.input] : [node.parameter, node.input];
    case "rank":
      return [node.count, node.input];
    default:
      return [node.input];
  }
}

function selectionText({ matchers, offsetMs, atMs }: Selection): string {
  const matched = matchers.map(({ name, type, value }) => `${name}${type}${quote(value)}`).join(", ");
  return `{${matched}}${atMs === undefined ? "" : ` @ ${atMs}ms`}${offsetMs === 0 ? "" : ` offset ${offsetMs}ms`}`;
}

const groupingText = ({ keepNamed, names }: Projection): string =>
  `${keepNamed ? "by" : "without"} (${names.join(", ")})`;
