import { createHash } from "node:crypto";
import { createServer as createHttpServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import type { Closure, WebSocketConnection } from "../src/websocket/client.js";
import { connectWebSocket } from "../src/websocket/connect.js";
import { FrameDecoder, type Received } from "../src/websocket/decode.js";
import { closePayload, encodeText } from "../src/websocket/encode.js";
import { Inbox, listen, stop } from "./support.js";

const servers: Server[] = [];

/** A server that ends with the test. */
function createServer(): Server {
  const server = createHttpServer();
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map(stop));
});

interface Connected {
  readonly client: WebSocketConnection;
  readonly messages: Inbox<string>;
  readonly closed: Promise<Closure>;
}

async function connect(url: string, options: { maxMessage?: number; timeoutMs?: number; signal?: AbortSignal } = {}): Promise<Connected> {
  const messages = new Inbox<string>();
  let markClosed!: (closure: Closure) => void;
  const closed = new Promise<Closure>((resolve) => (markClosed = resolve));
  const settings = { maxMessage: 4096, timeoutMs: 5000, signal: new AbortController().signal, ...options };
  const client = await connectWebSocket(
    { url: new URL(`${url}/v1/worker`), subprotocol: "test.v1", headers: { Authorization: "Bearer key" }, ...settings },
    { onMessage: (text) => messages.put(text), onClose: markClosed },
  );
  return { client, messages, closed };
}

async function wsServer(): Promise<{ url: string; sockets: Inbox<WebSocket>; headers: Inbox<Record<string, unknown>> }> {
  const server = createServer();
  const sockets = new Inbox<WebSocket>();
  const headers = new Inbox<Record<string, unknown>>();
  new WebSocketServer({ server, perMessageDeflate: true }).on("connection", (socket, request) => {
    headers.put(request.headers);
    sockets.put(socket);
  });
  return { url: await listen(server), sockets, headers };
}

/** A server that upgrades by hand, for what no honest server does. */
async function rawServer(answer: (key: string) => string): Promise<{ url: string; sockets: Inbox<Duplex> }> {
  const server = createServer();
  const sockets = new Inbox<Duplex>();
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    socket.write(answer(request.headers["sec-websocket-key"] ?? ""), "latin1");
    sockets.put(socket);
  });
  return { url: await listen(server), sockets };
}

const accept = (key: string) => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
const upgrade = (key: string, extra = "", protocol = "test.v1") =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(key)}\r\nSec-WebSocket-Protocol: ${protocol}\r\n${extra}\r\n`;

describe("the WebSocket client, against another implementation", () => {
  it("introduces itself as it should", async () => {
    const { url, headers } = await wsServer();
    await connect(url);
    const expected = { authorization: "Bearer key", "sec-websocket-protocol": "test.v1", "sec-websocket-version": "13" };
    expect(await headers.next()).toMatchObject(expected);
  });

  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 300_000])("carries %i bytes both ways", async (length) => {
    const { url, sockets } = await wsServer();
    const { client, messages } = await connect(url, { maxMessage: 1_000_000 });
    const socket = await sockets.next();
    socket.on("message", (data) => socket.send(data.toString()));
    const text = "é".repeat(length / 2) + (length % 2 ? "x" : "");
    client.send(text);
    expect(await messages.next()).toBe(text);
  });

  it("joins fragments, with control frames between them", async () => {
    const { url, sockets } = await wsServer();
    const { messages } = await connect(url);
    const socket = await sockets.next();
    const [first, second] = [Buffer.from("aé").subarray(0, 2), Buffer.from("aé").subarray(2)];
    socket.send(first, { fin: false, binary: false });
    socket.ping("x");
    socket.send(second, { fin: false, binary: false });
    socket.send("!", { fin: true, binary: false });
    expect(await messages.next()).toBe("aé!");
  });

  it("answers pings with their payload", async () => {
    const { url, sockets } = await wsServer();
    await connect(url);
    const socket = await sockets.next();
    const pong = new Promise((resolve) => socket.on("pong", (data) => resolve(data.toString())));
    socket.ping("payload");
    expect(await pong).toBe("payload");
  });

  it("keeps the order of many messages of one turn", async () => {
    const { url, sockets } = await wsServer();
    const { client } = await connect(url);
    const socket = await sockets.next();
    const got: string[] = [];
    const all = new Promise<void>((resolve) => socket.on("message", (data) => got.push(data.toString()) === 100 && resolve()));
    for (let index = 0; index < 100; index++) client.send(`${index}`);
    await all;
    expect(got).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
  });

  it.each([[1000, "bye"], [4401, "invalid_api_key"], [1012, ""]])("learns of a close with %i", async (code, reason) => {
    const { url, sockets } = await wsServer();
    const { closed } = await connect(url);
    const socket = await sockets.next();
    const answered = new Promise((resolve) => socket.on("close", resolve));
    socket.close(code, reason);
    expect(await closed).toEqual({ code, reason });
    expect(await answered).toBe(code);
  });

  it("learns of a close without a code", async () => {
    const { url, sockets } = await wsServer();
    const { closed } = await connect(url);
    (await sockets.next()).close();
    expect(await closed).toEqual({ code: 1005, reason: "" });
  });

  it("closes, delivering what arrives before the answer", async () => {
    const { url, sockets } = await wsServer();
    const { client, closed, messages } = await connect(url);
    const socket = await sockets.next();
    const seen = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
    client.close(1000, "done");
    client.send("not sent any more");
    socket.on("message", () => expect.unreachable());
    socket.send("late");
    expect(await seen).toEqual([1000, "done"]);
    expect(await messages.next()).toBe("late");
    expect(await closed).toEqual({ code: 1000, reason: "done" });
  });

  it("reports a lost connection as abnormal", async () => {
    const { url, sockets } = await wsServer();
    const { closed } = await connect(url);
    (await sockets.next()).terminate();
    expect(await closed).toEqual({ code: 1006, reason: "" });
  });

  it("ends at once when told to", async () => {
    const { url, sockets } = await wsServer();
    const { client, closed } = await connect(url);
    const socket = await sockets.next();
    const seen = new Promise((resolve) => socket.on("close", resolve));
    client.terminate();
    expect([(await closed).code, await seen]).toEqual([1006, 1006]);
  });

  it("refuses a message that is too large, whole or in fragments", async () => {
    for (const fragmented of [false, true]) {
      const { url, sockets } = await wsServer();
      const { closed, messages } = await connect(url, { maxMessage: 1000 });
      const socket = await sockets.next();
      const seen = new Promise((resolve) => socket.on("close", resolve));
      socket.send("x".repeat(600), { fin: !fragmented });
      socket.send("x".repeat(fragmented ? 600 : 1001));
      expect([(await closed).code, await seen]).toEqual([1009, 1009]);
      expect(messages.size).toBe(fragmented ? 0 : 1);
    }
  });

  it("refuses binary messages", async () => {
    const { url, sockets } = await wsServer();
    const { closed } = await connect(url);
    (await sockets.next()).send(Buffer.from("x"));
    expect((await closed).code).toBe(1003);
  });
});

describe("the handshake", () => {
  it("reads messages that come with the answer", async () => {
    const { url } = await rawServer((key) => `${upgrade(key)}\x81\x02hi`);
    expect(await (await connect(url)).messages.next()).toBe("hi");
  });

  it.each<[string, (key: string) => string, RegExp]>([
    ["accept", (key) => upgrade(key).replace(/Accept: ./, "Accept: _"), /Sec-WebSocket-Accept is wrong/],
    ["subprotocol", (key) => upgrade(key, "", "other.v1"), /does not speak test.v1/],
    ["extension", (key) => upgrade(key, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), /extension/],
    ["upgrade", (key) => upgrade(key).replace("WebSocket", "h2c"), /something else/],
  ])("refuses a wrong %s", async (_, answer, message) => {
    const { url } = await rawServer(answer);
    await expect(connect(url)).rejects.toThrow(message);
  });

  it("passes the server's problem on", async () => {
    const server = createServer().on("request", (_, response) => {
      response.writeHead(401, { "Content-Type": "application/problem+json", "X-Request-Id": "r1" });
      response.end(JSON.stringify({ code: "unknown_api_key", detail: "the key is not known", status: 401 }));
    });
    const facts = { code: "unknown_api_key", status: 401, detail: "the key is not known", requestId: "r1" };
    await expect(connect(await listen(server))).rejects.toMatchObject(facts);
  });

  it("does not follow redirects", async () => {
    const server = createServer().on("request", (_, response) => response.writeHead(302, { Location: "http://127.0.0.1:1/" }).end());
    await expect(connect(await listen(server))).rejects.toMatchObject({ code: "unexpected_answer", status: 302 });
  });

  it("reports an unreachable, a silent and an abandoned server", async () => {
    const server = createServer();
    const url = await listen(server);
    server.on("upgrade", () => {});
    await expect(connect(url, { timeoutMs: 1 })).rejects.toThrow(/no answer in time/);
    const abort = new AbortController();
    const connecting = connect(url, { signal: abort.signal });
    abort.abort();
    await expect(connecting).rejects.toMatchObject({ code: "server_unreachable" });
    await stop(server);
    await expect(connect(url)).rejects.toThrow(/ECONNREFUSED/);
  });

  it("is not ended by its signal later on", async () => {
    const { url, sockets } = await wsServer();
    const abort = new AbortController();
    const { messages } = await connect(url, { signal: abort.signal });
    abort.abort();
    (await sockets.next()).send("still here");
    expect(await messages.next()).toBe("still here");
  });
});

describe("violations by the server", () => {
  it.each<[string, number[], number]>([
    ["a masked frame", [0x81, 0x81, 1, 2, 3, 4, 0], 1002],
    ["a reserved bit", [0xc1, 0x01, 0x61], 1002],
    ["an unknown data type", [0x83, 0x00], 1002],
    ["an unknown control type", [0x8b, 0x00], 1002],
    ["a fragmented ping", [0x09, 0x00], 1002],
    ["a long ping", [0x89, 0x7e, 0x00, 0x7e], 1002],
    ["a continuation of nothing", [0x80, 0x00], 1002],
    ["a message within a message", [0x01, 0x00, 0x81, 0x00], 1002],
    ["half a close code", [0x88, 0x01, 0x03], 1002],
    ["a close code that must not be sent", [0x88, 0x02, 0x03, 0xed], 1002],
    ["text that is not UTF-8", [0x81, 0x02, 0xc3, 0x28], 1007],
    ["half a character", [0x81, 0x01, 0xc3], 1007],
    ["a length beyond 32 bits", [0x81, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], 1009],
    ["a length beyond the limit", [0x81, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 1009],
  ])("%s ends the connection", async (_, bytes, code) => {
    const { url, sockets } = await rawServer((key) => upgrade(key));
    const { closed, messages } = await connect(url);
    const socket = await sockets.next();
    const echo = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    socket.write(Buffer.from([...bytes, 0x81, 0x01, 0x61]));
    const frame = await echo;
    const mask = frame.subarray(2, 6);
    expect(frame[0]).toBe(0x88);
    expect(((frame[6] ?? 0) ^ (mask[0] ?? 0)) * 256 + ((frame[7] ?? 0) ^ (mask[1] ?? 0))).toBe(code);
    socket.end();
    expect((await closed).code).toBe(code);
    expect(messages.size).toBe(0);
  });
});

describe("frames", () => {
  it("decode the same wherever they are cut", () => {
    const long = "é".repeat(200);
    const text = Buffer.from(long);
    const stream = Buffer.concat([
      Buffer.from([0x81, 0x02, 0x68, 0x69, 0x01, 0x01, 0x61, 0x89, 0x01, 0x70, 0x80, 0x01, 0x62]),
      Buffer.from([0x81, 0x7e, text.length >> 8, text.length & 0xff]),
      text,
      Buffer.from([0x88, 0x04, 0x03, 0xe8, 0x6f, 0x6b]),
    ]);
    const kinds = (received: readonly Received[]) => received.map((each) => ("text" in each ? each.text : each.kind));
    for (let size = 1; size <= stream.length; size++) {
      const received: Received[] = [];
      const decoder = new FrameDecoder(1000);
      for (let at = 0; at < stream.length; at += size) decoder.push(stream.subarray(at, at + size), (each) => received.push(each));
      expect(kinds(received), `pieces of ${size}`).toEqual(["hi", "ping", "ab", long, "close"]);
    }
  });

  it("are masked, each with another mask", () => {
    const masks = new Set(Array.from({ length: 3000 }, () => encodeText("x").readUInt32BE(2)));
    expect(masks.size).toBeGreaterThan(2990);
    expect((encodeText("x")[1] ?? 0) & 0x80).toBe(0x80);
  });

  it("carry a close reason cut between characters", () => {
    const payload = closePayload(1000, "é".repeat(100));
    expect(payload.length).toBe(124);
    expect(payload.subarray(2).toString()).toBe("é".repeat(61));
  });
});
