import type { Server } from "node:http";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { claviger, ClavigerError, type Logger, type WorkerOptions } from "../src/index.js";
import { VERSION } from "../src/version.js";
import { httpServer, Inbox, stop, workerServer } from "./support.js";

const KEY = "clv_canary0123456789";
const servers: Server[] = [];
let lines: string[] = [];
const take = (line: string) => void lines.push(line);
const logger: Logger = { debug: take, info: take, warn: take, error: take };

beforeEach(() => {
  lines = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(servers.splice(0).map(stop));
  expect(lines.join("\n")).not.toContain(KEY);
});

const payout = claviger.createFunction(
  { id: "payout", triggers: [{ event: "payout.requested" }], secrets: ["STRIPE_KEY", { name: "SLACK", required: true }], timeout: "5m" },
  async ({ secrets, step }) => step.run("charge", () => secrets.get("STRIPE_KEY").length),
);

async function server() {
  const made = await workerServer();
  servers.push(made.server);
  return made;
}

const worker = (url: string, options: Partial<WorkerOptions> = {}) =>
  claviger.worker({ functions: [payout], url, apiKey: KEY, logger, handleSignals: false, name: "w1", ...options });

const event = { id: "e1", name: "payout.requested", data: { amount: 1 }, at: 1, environment: "default" };
const job = (members: object = {}) => ({
  type: "job",
  run: "run_1",
  fence: "f1",
  function: "payout",
  attempt: 1,
  event,
  steps: [],
  secrets: [{ name: "STRIPE_KEY", version: 7, value: "sk_canary_1" }],
  ...members,
});

describe("a worker", () => {
  it("introduces itself, executes a job and stops when told to", async () => {
    const { url, peers } = await server();
    const made = worker(url, { environment: "staging", concurrency: 3 });
    const starting = made.start();
    const peer = await peers.next();
    expect(peer.request.headers).toMatchObject({ authorization: `Bearer ${KEY}`, "sec-websocket-protocol": "claviger.worker.v1" });
    expect(peer.request.url).toBe("/v1/worker");
    expect(await peer.frames.next()).toEqual({
      type: "hello",
      protocol: 1,
      sdk: `node/${VERSION}`,
      worker: "w1",
      environment: "staging",
      credit: 3,
      functions: [
        {
          id: "payout",
          triggers: [{ event: "payout.requested" }],
          secrets: [{ name: "STRIPE_KEY", required: false }, { name: "SLACK", required: true }],
          timeoutMs: 300_000,
        },
      ],
    });
    peer.register();
    await starting;
    peer.send(job());
    const complete = { type: "complete", run: "run_1", fence: "f1", outcomes: [{ id: "charge", kind: "run", result: 11 }], result: 11 };
    expect(await peer.frames.next()).toEqual(complete);
    const stopping = made.stop();
    expect(await peer.frames.next()).toEqual({ type: "drain" });
    peer.send({ type: "ack", run: "run_1", fence: "f1", ended: true });
    await stopping;
    expect((await peer.closed).code).toBe(1000);
    await made.stopped;
  });

  it("takes its settings from the environment variables", async () => {
    const { url, peers } = await server();
    vi.stubEnv("CLAVIGER_URL", `${url}/`);
    vi.stubEnv("CLAVIGER_API_KEY", ` ${KEY}\n`);
    vi.stubEnv("CLAVIGER_ENV", "staging");
    const made = claviger.worker({ functions: [payout], logger, handleSignals: false });
    void made.start();
    const peer = await peers.next();
    expect(peer.request.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(await peer.frames.next()).toMatchObject({ environment: "staging", credit: 16, worker: expect.stringContaining(`${process.pid}`) });
    made.abort();
    await made.stopped;
  });

  it("ignores what is not for a job it holds, and frames it does not know", async () => {
    const { url, peers } = await server();
    const made = worker(url);
    void made.start();
    const peer = await peers.next();
    await peer.frames.next();
    peer.register();
    peer.send({ type: "later", x: 1 });
    peer.send({ type: "ack", run: "run_9", fence: "f1", ended: true });
    peer.send({ type: "cancel", run: "run_9", fence: "f1", reason: "lost" });
    peer.send({ type: "error", run: "run_9", code: "internal" });
    peer.send({ type: "drain" });
    peer.send(job());
    expect(await peer.frames.next()).toMatchObject({ type: "complete" });
    peer.send({ type: "ack", run: "run_1", fence: "old", ended: true });
    peer.send(job({ run: "run_2", function: "unknown" }));
    expect(await peer.frames.next()).toMatchObject({ type: "fail", run: "run_2", retryable: true });
    made.abort();
    await made.stopped;
  });

  it("aborts a cancelled job and a job of an older claim", async () => {
    const started = new Inbox<AbortSignal>();
    const hang = claviger.createFunction({ id: "payout", triggers: [] }, ({ signal }) => (started.put(signal), new Promise(() => {})));
    const { url, peers } = await server();
    const made = worker(url, { functions: [hang] });
    void made.start();
    const peer = await peers.next();
    peer.register();
    peer.send(job());
    const first = await started.next();
    peer.send(job({ fence: "f2" }));
    const second = await started.next();
    expect([first.aborted, second.aborted]).toEqual([true, false]);
    const aborted = new Promise((resolve) => second.addEventListener("abort", resolve));
    peer.send({ type: "cancel", run: "run_1", fence: "f2", reason: "timeout" });
    await aborted;
    await made.stop();
  });

  it("aborts its jobs when the connection is lost, connects again, and sends nothing for them", async () => {
    const started = new Inbox<AbortSignal>();
    let finish!: () => void;
    const slow = new Promise<void>((resolve) => (finish = resolve));
    const fn = claviger.createFunction({ id: "payout", triggers: [] }, async ({ signal, attempt }) => {
      started.put(signal);
      if (attempt === 1) await slow;
      return attempt;
    });
    const { url, peers } = await server();
    const made = worker(url, { functions: [fn] });
    void made.start();
    const peer = await peers.next();
    peer.register();
    peer.send(job());
    const signal = await started.next();
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    peer.socket.terminate();
    await aborted;
    const again = await peers.next();
    finish();
    expect(await again.frames.next()).toMatchObject({ type: "hello" });
    again.register();
    again.send(job({ fence: "f2", attempt: 2 }));
    expect(await again.frames.next()).toMatchObject({ type: "complete", fence: "f2", result: 2 });
    made.abort();
    await made.stopped;
    expect(lines.join("\n")).toMatch(/trying again in \d+ ms/);
  });

  it("connects again while the server cannot be reached", async () => {
    const refusing = await httpServer();
    servers.push(refusing.server);
    const made = worker(refusing.url);
    const starting = made.start();
    for (let attempt = 0; attempt < 3; attempt++) (await refusing.requests.next()).response.writeHead(503).end();
    await made.stop();
    await starting;
    expect(lines.filter((line) => line.includes("status 503")).length).toBeGreaterThanOrEqual(2);
  });

  it.each([[401, "unknown_api_key"], [403, "denied"], [400, "key_in_query"]])("gives up when the handshake is answered with %i", async (status, code) => {
    const refusing = await httpServer();
    servers.push(refusing.server);
    const starting = worker(refusing.url).start();
    const { response } = await refusing.requests.next();
    response.writeHead(status).end(JSON.stringify({ code, detail: `no: ${KEY}` }));
    const error: ClavigerError = await starting.then(() => expect.unreachable(), (thrown) => thrown);
    expect(error).toBeInstanceOf(ClavigerError);
    expect(error).toMatchObject({ code, status, detail: "no: «API key»" });
    expect(JSON.stringify(error) + error.stack).not.toContain(KEY);
  });

  it.each([4400, 4401, 4403])("gives up when the server closes with %i", async (code) => {
    const { url, peers } = await server();
    const starting = worker(url).start();
    const peer = await peers.next();
    peer.send({ type: "error", code: "denied", detail: 'function "payout" is not allowed' });
    peer.socket.close(code);
    await expect(starting).rejects.toMatchObject({ code: "denied", status: code, message: 'denied: function "payout" is not allowed' });
  });

  it("tells those who await its end when it is refused later", async () => {
    const { url, peers } = await server();
    const made = worker(url);
    const starting = made.start();
    const peer = await peers.next();
    peer.register();
    await starting;
    peer.socket.close(4401, "expired_api_key");
    await expect(made.stopped).rejects.toMatchObject({ code: "expired_api_key", status: 4401 });
  });

  it("connects again when the server sends what cannot be understood", async () => {
    const { url, peers } = await server();
    const made = worker(url);
    void made.start();
    for (const message of ["not JSON", "7", "null", '{"type":"job","function":"payout"}']) (await peers.next()).socket.send(message);
    await peers.next();
    made.abort();
    await made.stopped;
  });

  it("finishes the jobs in flight when it drains", async () => {
    let finish!: () => void;
    const started = new Inbox<void>();
    const slow = new Promise<void>((resolve) => (finish = resolve));
    const fn = claviger.createFunction({ id: "payout", triggers: [] }, async () => (started.put(), slow));
    const { url, peers } = await server();
    const made = worker(url, { functions: [fn] });
    void made.start();
    const peer = await peers.next();
    await peer.frames.next();
    peer.register();
    peer.send(job());
    await started.next();
    const stopping = made.stop();
    expect(await peer.frames.next()).toEqual({ type: "drain" });
    finish();
    expect(await peer.frames.next()).toMatchObject({ type: "complete", result: null });
    peer.send({ type: "ack", run: "run_1", fence: "f1", ended: true });
    await stopping;
    expect((await peer.closed).code).toBe(1000);
  });

  it("beats as the server asks, and gives a silent server up", async () => {
    const { url, peers } = await server();
    const made = worker(url);
    void made.start();
    const peer = await peers.next();
    await peer.frames.next();
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "clearTimeout", "clearInterval", "performance"] });
    try {
      peer.register({ heartbeatEveryMs: 1000 });
      await made.start();
      vi.advanceTimersByTime(1000);
      expect(await peer.frames.next()).toEqual({ type: "heartbeat" });
      vi.advanceTimersByTime(6500);
      expect((await peer.closed).code).toBe(1006);
    } finally {
      vi.useRealTimers();
    }
    made.abort();
    await made.stopped;
    expect(lines.join("\n")).toContain("the server was silent for 7000 ms");
  });

  it("masks the values of live jobs in its log", async () => {
    const value = "sk_canary_2 \"quoted\"";
    const leak = claviger.createFunction({ id: "payout", triggers: [], secrets: ["STRIPE_KEY"] }, ({ secrets }) => {
      throw new Error(`bad key ${secrets.get("STRIPE_KEY")} ${JSON.stringify(secrets.get("STRIPE_KEY"))}`);
    });
    const { url, peers } = await server();
    const made = worker(url, { functions: [leak] });
    void made.start();
    const peer = await peers.next();
    await peer.frames.next();
    peer.register();
    peer.send(job({ secrets: [{ name: "STRIPE_KEY", version: 7, value }] }));
    expect(await peer.frames.next()).toMatchObject({ type: "fail", error: { message: expect.stringContaining(value) } });
    made.abort();
    await made.stopped;
    expect(lines.join("\n")).toContain('failed: Error: bad key «STRIPE_KEY@7» "«STRIPE_KEY@7»"');
    expect(lines.join("\n")).not.toContain("sk_canary_2");
  });

  it("drains at the first signal and ends the process at the second", async () => {
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    const { url, peers } = await server();
    const hang = claviger.createFunction({ id: "payout", triggers: [] }, () => new Promise(() => {}));
    const before = process.listenerCount("SIGTERM");
    const made = worker(url, { functions: [hang], handleSignals: true });
    const starting = made.start();
    const peer = await peers.next();
    await peer.frames.next();
    peer.register();
    await starting;
    peer.send(job());
    process.emit("SIGTERM", "SIGTERM");
    expect(await peer.frames.next()).toEqual({ type: "drain" });
    expect(kill).not.toHaveBeenCalled();
    process.emit("SIGTERM", "SIGTERM");
    expect(kill).toHaveBeenCalledWith(process.pid, "SIGTERM");
    await made.stopped;
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });

  it("can be stopped before it was started, and refuses what cannot work", async () => {
    await worker("http://127.0.0.1:1").stop();
    expect(() => claviger.worker({ functions: [] })).toThrow(/needs a function or a listener/);
    expect(() => claviger.worker({})).toThrow(/needs a function or a listener/);
    expect(() => claviger.worker({ functions: [payout], listeners: [claviger.listener({ id: "payout" }).on("a", () => {})] })).toThrow(/same id/);
    expect(() => claviger.worker({ listeners: [claviger.listener({ id: "orders" })] })).toThrow(/"orders" has no handler/);
    expect(() => claviger.worker({ functions: [payout, payout] })).toThrow(/same id/);
    expect(() => claviger.worker({ functions: [payout], concurrency: 0 })).toThrow(/1 to 1,024/);
    await expect(claviger.worker({ functions: [payout], apiKey: `${KEY} x`, handleSignals: false }).start()).rejects.toThrow(/holds characters/);
    await expect(worker("ftp://user:pass@x").start()).rejects.toThrow(/not of the form/);
    vi.stubEnv("CLAVIGER_API_KEY", "");
    await expect(worker("http://127.0.0.1:1", { apiKey: "" }).start()).rejects.toMatchObject({ code: "config_invalid", detail: expect.stringContaining("CLAVIGER_API_KEY") });
  });

  it("names its version as its package does", () => {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    expect((JSON.parse(text) as { version: string }).version).toBe(VERSION);
  });
});
