/**
 * A gRPC server of unary calls on a unix socket: HTTP/2 without TLS, one message each way, framed by a flag byte and a
 * length, the outcome in the trailers. All that CSI needs, and nothing more.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { rmSync } from "node:fs";
import { createServer } from "node:http2";
import type { Http2Server, ServerHttp2Stream } from "node:http2";
import type { Root } from "protobufjs";

export const Code = { ok: 0, invalidArgument: 3, notFound: 5, unimplemented: 12, internal: 13 } as const;

export class GrpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One call: names of its messages, and what it does. */
export interface Method {
  readonly request: string;
  readonly response: string;
  readonly handle: (request: Readonly<Record<string, unknown>>) => object;
}

/** By path, such as "/csi.v1.Identity/Probe". */
export type Methods = Readonly<Record<string, Method>>;

export async function serveGrpc(socket: string, root: Root, methods: Methods): Promise<Http2Server> {
  rmSync(socket, { force: true });
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("end", () => answer(stream, root, methods[String(headers[":path"])], Buffer.concat(chunks)));
  });
  server.on("sessionError", () => {});
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(socket, resolve));
  return server;
}

const HEADER_BYTES = 5;

function answer(stream: ServerHttp2Stream, root: Root, method: Method | undefined, body: Buffer): void {
  let outcome: { code: number; message: string } = { code: Code.ok, message: "" };
  let frame = Buffer.alloc(0);
  try {
    if (method === undefined) throw new GrpcError(Code.unimplemented, "not implemented");
    const [request, response] = [root.lookupType(method.request), root.lookupType(method.response)];
    const decoded = request.toObject(request.decode(body.subarray(HEADER_BYTES)), { longs: Number, defaults: true });
    const encoded = response.encode(response.fromObject(method.handle(decoded))).finish();
    frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), encoded]);
    frame.writeUInt32BE(encoded.length, 1);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    outcome = { code: thrown instanceof GrpcError ? thrown.code : Code.internal, message };
    process.stderr.write(`${message}\n`);
  }
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => {
    const message = encodeURIComponent(outcome.message);
    stream.sendTrailers({ "grpc-status": String(outcome.code), "grpc-message": message });
  });
  stream.end(frame);
}
