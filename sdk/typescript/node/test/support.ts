import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

/** Values that arrive one by one, and the test awaits one by one. */
export class Inbox<T> {
  #values: T[] = [];
  #waiting: ((value: T) => void)[] = [];

  put(value: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(value);
    else this.#values.push(value);
  }

  next(): Promise<T> {
    return this.#values.length > 0 ? Promise.resolve(this.#values.shift() as T) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  get size(): number {
    return this.#values.length;
  }
}

/** Open sockets by server; an upgraded one is no longer among the server's own. */
const sockets = new WeakMap<Server, Set<Socket>>();

/** Listens on a free port of the loopback interface and returns the base URL. */
export async function listen(server: Server): Promise<string> {
  const open = new Set<Socket>();
  sockets.set(server, open);
  server.on("connection", (socket) => open.add(socket.on("close", () => open.delete(socket))));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Ends a server with all its connections. */
export async function stop(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets.get(server) ?? []) socket.destroy();
  await closed;
}

/** An HTTP server whose requests the test answers. */
export async function httpServer(): Promise<{ url: string; requests: Inbox<{ request: IncomingMessage; response: ServerResponse; body: string }>; server: Server }> {
  const requests = new Inbox<{ request: IncomingMessage; response: ServerResponse; body: string }>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    requests.put({ request, response, body: Buffer.concat(chunks).toString() });
  });
  return { url: await listen(server), requests, server };
}

/** One worker connection as the server sees it. */
export class Peer {
  readonly frames = new Inbox<any>();
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly socket: WebSocket;
  readonly request: IncomingMessage;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.socket = socket;
    this.request = request;
    socket.on("message", (data) => this.frames.put(JSON.parse(data.toString())));
    this.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })));
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  register(members: object = {}): void {
    const functions = ["payout"];
    this.send({ type: "registered", protocol: 1, session: "s", environment: "default", functions, heartbeatEveryMs: 10_000, leaseMs: 30_000, ...members });
  }
}

/** A server for workers, played by the test. */
export async function workerServer(): Promise<{ url: string; peers: Inbox<Peer>; server: Server }> {
  const server = createServer((_, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server, path: "/v1/worker", handleProtocols: (protocols) => [...protocols][0] ?? false });
  const peers = new Inbox<Peer>();
  sockets.on("connection", (socket, request) => peers.put(new Peer(socket, request)));
  return { url: await listen(server), peers, server };
}
