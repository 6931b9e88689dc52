/** docs/reference/conditions.md, from the operator's one table of reasons. */
import { conditionTable, eventTable, type ConditionRow } from "../src/operator/api/reasons.ts";
import { PHASES } from "../src/operator/api/status.ts";

export function conditionsDoc(): string {
  const sections = Object.entries<ConditionRow>(conditionTable).map(([type, { asks, reasons }]) => {
    const rows = Object.entries(reasons).map(
      ([reason, [status, meaning]]) => `| \`${reason}\` | ${status} | ${meaning} |`,
    );
    return `## ${type}\n\n${asks}\n\n| Reason | Status | What it means, what to do |\n|---|---|---|\n${rows.join("\n")}\n`;
  });
  const events = Object.entries(eventTable).map(
    ([reason, [type, meaning]]) => `| \`${reason}\` | ${type} | ${meaning} |`,
  );
  return `<!-- Made by \`npm run generate\` from the code: change it there. -->
# Conditions

What the operator says of a TimeSeriesDB in \`status.conditions\`. Each condition is there from the first status on. Where
several reasons hold, the first of its table is shown. A condition's \`lastTransitionTime\` changes only with its status, and
no message holds anything that moves by itself: a database at rest costs no writes.

\`\`\`sh
kubectl get tsdb
kubectl describe tsdb NAME
kubectl wait --for=condition=Ready tsdb/NAME
\`\`\`

\`status.phase\` is the same in a word, for people: ${PHASES.map((phase) => `\`${phase}\``).join(", ")}.

${sections.join("\n")}
## Events

What \`kubectl describe\` shows below. The same is told once in ten minutes, and then counted.

| Reason | Type | What happened |
|---|---|---|
${events.join("\n")}
`;
}
