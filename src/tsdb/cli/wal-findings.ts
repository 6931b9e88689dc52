/** What is to be said of a log that was read (wal/inspect.ts), as sentences about a file and an offset. */
import { join } from "node:path/posix";
import { segmentName } from "../wal/format.ts";
import type { LogReport } from "../wal/inspect.ts";

export interface Finding {
  readonly file: string;
  readonly offsetBytes: number;
  readonly message: string;
  /** Something that was durable is not there any more, or not as it was written; otherwise good to know. */
  readonly isDamage: boolean;
}

export function logFindings(dir: string, { segments, losses }: LogReport): Finding[] {
  const file = (index: number): string => join(dir, segmentName(index));
  const findings: Finding[] = losses.map(({ index, offsetBytes, firstSequence, lastSequence, reason }) => ({
    file: file(index),
    offsetBytes,
    message: `${sequencesText(firstSequence, lastSequence)} lost: ${reason}`,
    isDamage: true,
  }));
  for (const { index, damage, isHeaderDamaged, mark } of segments) {
    const isLoss = losses.some((loss) => loss.index === index);
    if (damage !== undefined && !isLoss) {
      const message = `${damage.reason}; no record that was promised is behind it`;
      findings.push({ file: file(index), offsetBytes: damage.offsetBytes, message, isDamage: false });
    }
    if (isHeaderDamaged && !isLoss)
      findings.push({ file: file(index), offsetBytes: 0, message: "its header is damaged", isDamage: true });
    if (mark?.firstLost !== undefined) {
      const message = `${sequencesText(mark.firstLost, mark.sequence)} lost earlier, as was reported then`;
      findings.push({ file: file(index), offsetBytes: 0, message, isDamage: false });
    }
  }
  return findings;
}

const sequencesText = (first: number, last: number): string =>
  first === last ? `record ${first} is` : `records ${first} to ${last} are`;
