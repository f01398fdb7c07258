import { createHash, randomBytes } from "node:crypto";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Duplex } from "node:stream";
import { ClavigerError, problemError } from "@claviger/core";

/** How to open a WebSocket. */
export interface HandshakeOptions {
  /** An http or https URL. */
  readonly url: URL;
  readonly subprotocol: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** An upgraded connection, and what came with the answer. */
export interface Upgraded {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** RFC 6455, section 1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const MAX_PROBLEM_BYTES = 64 * 1024;

/**
 * The opening handshake of RFC 6455, section 4.1, as a client. Rejects with a `ClavigerError`: the server's own if it
 * answers with a problem, `server_unreachable` if there is no answer, `unexpected_answer` if the upgrade is not correct.
 */
export function handshake({ url, subprotocol, headers, timeoutMs, signal }: HandshakeOptions): Promise<Upgraded> {
  const key = randomBytes(16).toString("base64");
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, {
    agent: false,
    headers: {
      ...headers,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": key,
      "Sec-WebSocket-Protocol": subprotocol,
    },
  });
  return new Promise((resolve, reject) => {
    // Not the request's own `signal`: that one would still end the connection after the upgrade.
    const onAbort = () => request.destroy(new Error("given up"));
    const timer = setTimeout(() => request.destroy(new Error("no answer in time")), timeoutMs);
    const settled = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const fail = (error: unknown) => {
      settled();
      reject(error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    request.on("error", (cause) => fail(unreachable(url, cause)));
    request.on("response", (response) => {
      readRefusal(response).then(fail, (cause) => fail(unreachable(url, cause)));
    });
    request.on("upgrade", (response, socket, head) => {
      settled();
      const problem = checkUpgrade(response, key, subprotocol);
      if (problem === undefined) return resolve({ socket, head });
      socket.destroy();
      reject(unexpected(response.statusCode ?? 0, problem));
    });
    if (signal.aborted) onAbort();
    request.end();
  });
}

function checkUpgrade({ statusCode, headers }: IncomingMessage, key: string, subprotocol: string): string | undefined {
  const accept = createHash("sha1").update(key + ACCEPT_GUID).digest("base64");
  if (statusCode !== 101) return `the server answered with status ${statusCode}`;
  if (headers.upgrade?.toLowerCase() !== "websocket") return "the server upgraded to something else";
  if (headers["sec-websocket-accept"] !== accept) return "the server's Sec-WebSocket-Accept is wrong";
  if (headers["sec-websocket-protocol"] !== subprotocol) return `the server does not speak ${subprotocol}`;
  if (headers["sec-websocket-extensions"]) return "the server uses an extension that was not asked for";
  return undefined;
}

/** The server's answer instead of an upgrade. */
async function readRefusal(response: IncomingMessage): Promise<ClavigerError> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_PROBLEM_BYTES) break;
  }
  const status = response.statusCode ?? 0;
  const requestId = response.headers["x-request-id"];
  return problemError(status, typeof requestId === "string" ? requestId : undefined, Buffer.concat(chunks).toString());
}

function unreachable(url: URL, cause: unknown): ClavigerError {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : cause instanceof Error ? cause.message : "";
  return new ClavigerError({ code: "server_unreachable", status: 0, detail: `no connection to ${url.origin}: ${reason}` }, { cause });
}

function unexpected(status: number, detail: string): ClavigerError {
  return new ClavigerError({ code: "unexpected_answer", status, detail });
}
