/** One question to a member's probe listener: how it is. */
import { request } from "undici";
import { PROBE_PORT } from "./desired/names.ts";
import type { EngineState } from "./reconcile/members.ts";

const ANSWER_MS = 3_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** @param address of the pod. Rejects when there is no answer that makes sense */
export async function askEngine(address: string): Promise<EngineState> {
  const host = address.includes(":") ? `[${address}]` : address;
  const signal = AbortSignal.timeout(ANSWER_MS);
  const { statusCode, body } = await request(`http://${host}:${PROBE_PORT}/-/state`, { signal });
  let text = "";
  for await (const piece of body.setEncoding("utf8")) {
    text += String(piece);
    if (text.length > ANSWER_BYTES_MAX) throw new Error("the answer has no end");
  }
  if (statusCode !== 200) throw new Error(`the answer is ${statusCode}`);
  const { state, configFileHash } = JSON.parse(text) as { readonly state?: unknown; readonly configFileHash?: unknown };
  if (typeof state !== "string") throw new Error("the answer has no state");
  return { state, configFileHash: typeof configFileHash === "string" ? configFileHash : undefined };
}
