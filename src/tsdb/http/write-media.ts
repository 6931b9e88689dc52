/** Which kind of write request a body is, by its Content-Type and Content-Encoding. */
import { TsdbError } from "../../base/errors.ts";
import type { WriteRequest } from "../storage.ts";

/** The kind, or why the body is not taken. */
export function formatOf(type: string | undefined, encoding: string | undefined): WriteRequest["format"] | TsdbError {
  // What senders really send, before anything is taken apart.
  if (type === "application/x-protobuf" && encoding === "snappy") return "remote-write";
  const { essence, parameters } = mediaTypeOf(type ?? "");
  const coding = (encoding ?? "identity").toLowerCase();
  switch (essence) {
    case "application/x-protobuf": {
      const message = parameters.get("proto") ?? "prometheus.WriteRequest";
      if (message !== "prometheus.WriteRequest") return unsupported(`The protobuf message ${message}`);
      return coding === "snappy" ? "remote-write" : unsupported(`Protobuf with Content-Encoding ${coding}`);
    }
    case "application/json": {
      const charset = parameters.get("charset") ?? "utf-8";
      if (charset.toLowerCase() !== "utf-8") return unsupported(`JSON in ${charset}`);
      return coding === "identity" ? "json" : unsupported(`JSON with Content-Encoding ${coding}`);
    }
    default:
      return unsupported(essence === "" ? "A body without Content-Type" : `Content-Type ${type}`);
  }
}

/** `application/json; charset="utf-8"` taken apart; unknown parameters are no reason to refuse. */
function mediaTypeOf(header: string): { readonly essence: string; readonly parameters: ReadonlyMap<string, string> } {
  const [essence = "", ...pairs] = header.split(";").map((part) => part.trim());
  const parameters = new Map(
    pairs.map((pair) => {
      const [name = "", value = ""] = pair.split("=", 2).map((part) => part.trim());
      return [name.toLowerCase(), value.replace(/^"(.*)"$/, "$1")] as const;
    }),
  );
  return { essence: essence.toLowerCase(), parameters };
}

const unsupported = (what: string): TsdbError =>
  new TsdbError("UNSUPPORTED_MEDIA_TYPE", `${what} is not supported`, {
    remedy:
      "Send remote write 1.0 (Content-Type: application/x-protobuf, Content-Encoding: snappy) " +
      "or uncompressed JSON (Content-Type: application/json)",
  });
