/** Bytes that come in pieces, as numbered lines of text. */
import { TsdbError } from "../../base/errors.ts";

export interface NumberedLine {
  readonly text: string;
  /** From 1. */
  readonly number: number;
}

/** No sample takes as much: it is no text file, or a very wrong one. */
const LINE_BYTES_MAX = 1024 * 1024;
const LINE_FEED = 10;

/**
 * Lines without their line feeds, a batch for each piece.
 * @throws TsdbError BAD_REQUEST with the number of a line that is too long or not UTF-8
 */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<NumberedLine[]> {
  let rest: Uint8Array = new Uint8Array(0);
  let number = 1;
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(LINE_FEED) + 1;
    if (end === 0) {
      rest = Buffer.concat([rest, piece]);
      if (rest.byteLength > LINE_BYTES_MAX) throw lineTooLong(number);
      continue;
    }
    const lines = decoded(Buffer.concat([rest, piece.subarray(0, end - 1)]), number);
    number += lines.length;
    yield lines;
    rest = piece.slice(end);
  }
  if (rest.byteLength > 0) yield decoded(rest, number);
}

function decoded(bytes: Uint8Array, first: number): NumberedLine[] {
  let texts: string[];
  try {
    texts = utf8.decode(bytes).split("\n");
  } catch {
    let number = first;
    for (let at = 0; ; number++) {
      const end = bytes.indexOf(LINE_FEED, at);
      if (!isUtf8(bytes.subarray(at, end < 0 ? bytes.byteLength : end)) || end < 0) break;
      at = end + 1;
    }
    throw new TsdbError("BAD_REQUEST", `line ${number}: it is not UTF-8`);
  }
  return texts.map((text, i) => {
    if (text.length > LINE_BYTES_MAX) throw lineTooLong(first + i);
    return { text, number: first + i };
  });
}

// A byte order mark is no part of any exposition format: it stays, and the first line is refused.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const lineTooLong = (number: number): TsdbError =>
  new TsdbError("BAD_REQUEST", `line ${number}: it is longer than ${LINE_BYTES_MAX} bytes`);
