/** Errors of a query's text, worded and placed as Prometheus does: `1:5: parse error: unexpected ...`. */
import { TsdbError } from "../../../base/errors.ts";
import { lineAndColumn } from "../annotations.ts";

/** @param position where in the query, in UTF-16 code units */
export function syntaxError(query: string, position: number, message: string): TsdbError {
  const place = query === "" ? "unknown position" : lineAndColumn(query, position);
  return new TsdbError("BAD_QUERY", `${place}: parse error: ${message}`);
}
