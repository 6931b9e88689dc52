/**
 * Reads the head of a write request that a plain sender sent: all of it at once, in the simplest form that HTTP has.
 * Says what it holds, or undefined for everything else, which Node's parser then judges (write-lane.ts).
 */
import { WRITE_PATH } from "./write-service.ts";

export interface PlainHead {
  /** Up to and including the empty line. */
  readonly headBytes: number;
  readonly contentLength: number;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

const REQUEST_LINE = Buffer.from(`POST ${WRITE_PATH} HTTP/1.1\r\n`, "latin1");
const END = Buffer.from("\r\n\r\n", "latin1");
const HEAD_BYTES_MAX = 16 * 1024;
const HEADERS_MAX = 50;

/** Lines of a name, a colon, and printable text; no folding, no blank before the colon, no control characters. */
const PLAIN_LINES = new RegExp(`^(?:[\\w!#$%&'*+.^\`|~-]+:[\\t\\x20-\\x7e]*\\r\\n){1,${HEADERS_MAX}}$`);
const CONTENT_LENGTH = /^\d{1,15}$/;

export function readPlainHead(bytes: Buffer): PlainHead | undefined {
  const lineBytes = REQUEST_LINE.byteLength;
  if (bytes.byteLength < lineBytes || REQUEST_LINE.compare(bytes, 0, lineBytes) !== 0) return undefined;
  const end = bytes.indexOf(END, lineBytes);
  if (end < 0 || end > HEAD_BYTES_MAX) return undefined;
  const text = bytes.toString("latin1", lineBytes, end + 2);
  if (!PLAIN_LINES.test(text)) return undefined;

  let hosts = 0;
  let length: string | undefined;
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  for (let start = 0; start < text.length;) {
    const colon = text.indexOf(":", start);
    const lineEnd = text.indexOf("\r\n", colon);
    switch (text.slice(start, colon).toLowerCase()) {
      case "content-length":
        if (length !== undefined) return undefined;
        length = text.slice(colon + 1, lineEnd).trim();
        break;
      case "content-type":
        if (contentType !== undefined) return undefined;
        contentType = text.slice(colon + 1, lineEnd).trim();
        break;
      case "content-encoding":
        if (contentEncoding !== undefined) return undefined;
        contentEncoding = text.slice(colon + 1, lineEnd).trim();
        break;
      case "host":
        hosts++;
        break;
      // They change how the request or its connection is to be read.
      case "connection":
      case "expect":
      case "proxy-connection":
      case "te":
      case "trailer":
      case "transfer-encoding":
      case "upgrade":
        return undefined;
    }
    start = lineEnd + 2;
  }
  if (hosts !== 1 || length === undefined || !CONTENT_LENGTH.test(length)) return undefined;
  return { headBytes: end + END.byteLength, contentLength: Number(length), contentType, contentEncoding };
}
