import type { Server, ServerResponse } from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import { claviger, ClavigerError } from "../src/index.js";
import { httpServer, Inbox, stop } from "./support.js";

const KEY = "clv_canary0123456789";
const servers: Server[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(servers.splice(0).map(stop));
});

async function server() {
  const made = await httpServer();
  servers.push(made.server);
  return { ...made, client: claviger.client({ url: made.url, apiKey: KEY, environment: "default" }) };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "Content-Type": "application/json", "X-Request-Id": "req_1" }).end(JSON.stringify(body));
}

describe("emit", () => {
  it("posts the event with the key in a header", async () => {
    const { client, requests } = await server();
    const emitting = client.emit("payout.requested", { amount: 1 }, { id: "e1" });
    const { request, response, body } = await requests.next();
    expect([request.method, request.url]).toEqual(["POST", "/v1/environments/default/events"]);
    expect(request.headers).toMatchObject({ authorization: `Bearer ${KEY}`, "content-type": "application/json" });
    expect(JSON.parse(body)).toEqual({ name: "payout.requested", data: { amount: 1 }, id: "e1" });
    const event = { id: "e1", name: "payout.requested", environment: "default", revision: 4, at: "2026-11-21T10:00:00.000Z" };
    json(response, 202, event);
    expect(await emitting).toEqual(event);
  });

  it("names the event's space", async () => {
    const { client, requests } = await server();
    const emitting = client.emit("order:created", 7, { space: "acme" });
    const { response, body } = await requests.next();
    expect(JSON.parse(body)).toEqual({ name: "order:created", data: 7, space: "acme" });
    const event = { id: "e1", name: "order:created", environment: "default", space: "acme", revision: 4, at: "2026-11-21T10:00:00.000Z" };
    json(response, 202, event);
    expect(await emitting).toEqual(event);
  });

  it("asks once which environment is the key's", async () => {
    const { requests, url } = await server();
    vi.stubEnv("CLAVIGER_ENV", "");
    const client = claviger.client({ url, apiKey: KEY });
    for (const paths of [["/v1/caller", "/v1/environments/blue%2Fgreen/events"], ["/v1/environments/blue%2Fgreen/events"]]) {
      const emitting = client.emit("x");
      for (const path of paths) {
        const { request, response } = await requests.next();
        expect(request.url).toBe(path);
        json(response, 200, { environment: "blue/green" });
      }
      await emitting;
    }
  });

  it("uses the environment variables from the module", async () => {
    const { requests, url } = await server();
    vi.stubEnv("CLAVIGER_URL", url);
    vi.stubEnv("CLAVIGER_API_KEY", KEY);
    vi.stubEnv("CLAVIGER_ENV", "default");
    const emitting = claviger.emit("x");
    const { response, body } = await requests.next();
    expect(JSON.parse(body)).toEqual({ name: "x" });
    json(response, 202, { id: "e" });
    expect(await emitting).toEqual({ id: "e" });
  });

  it("turns problems into errors that hold no key", async () => {
    const { client, requests } = await server();
    const emitting = client.emit("system.x").catch((error: unknown) => error);
    const { response } = await requests.next();
    json(response, 403, { code: "reserved_event_name", detail: "names under `system.` are the engine's", requestId: "req_2" });
    const error = await emitting;
    expect(error).toBeInstanceOf(ClavigerError);
    expect(error).toMatchObject({ code: "reserved_event_name", status: 403, requestId: "req_2" });
    expect(String((error as Error).stack) + JSON.stringify(error)).not.toContain(KEY);
  });

  it("describes answers that are no problem documents, and no answer at all", async () => {
    const { client, requests, server: http } = await server();
    const emitting = client.emit("x");
    (await requests.next()).response.writeHead(502, { "X-Request-Id": "r" }).end("<html>");
    await expect(emitting).rejects.toMatchObject({ code: "unexpected_answer", status: 502, requestId: "r" });
    await stop(http);
    await expect(client.emit("x")).rejects.toMatchObject({ code: "server_unreachable", status: 0 });
    await expect(client.emit("x", 1n)).rejects.toThrow(/data of event "x" is not JSON/);
    await expect(client.emit("x", 1, { signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
  });

  it("does not follow redirects", async () => {
    const { client, requests } = await server();
    const emitting = client.emit("x");
    (await requests.next()).response.writeHead(307, { Location: "http://127.0.0.1:1/" }).end();
    await expect(emitting).rejects.toMatchObject({ code: "server_unreachable" });
  });
});

const stream = (response: ServerResponse) => response.writeHead(200, { "Content-Type": "text/event-stream" });
const frame = (cursor: string, data: object, event = "event") => `id: ${cursor}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

describe("subscribe", () => {
  it("resolves when it stands, and delivers in order", async () => {
    const { client, requests } = await server();
    const events = new Inbox<any>();
    const subscribing = client.subscribe(["system.secret.*.updated", "a b"], { onEvent: (event) => events.put(event) });
    const { request, response } = await requests.next();
    expect(request.url).toBe("/v1/environments/default/subscribe?pattern=system.secret.*.updated&pattern=a%20b");
    expect(request.headers).toMatchObject({ accept: "text/event-stream", authorization: `Bearer ${KEY}` });
    expect(request.headers).not.toHaveProperty("last-event-id");
    stream(response).write("event: ready\nid: c0\n\n");
    const subscription = await subscribing;
    expect(subscription.cursor).toBe("c0");
    response.write(`: keep-alive\n\n${frame("c1", { name: "é" })}${frame("c2", { name: "two" })}`);
    expect([await events.next(), await events.next()]).toEqual([{ name: "é" }, { name: "two" }]);
    subscription.close();
    await subscription.closed;
    expect(subscription.cursor).toBe("c2");
  });

  it("asks for the events of some spaces", async () => {
    const { client, requests } = await server();
    const events = new Inbox<any>();
    const subscribing = client.subscribe("order.>", { spaces: ["acme", "a&b"], onEvent: ({ space }) => events.put(space) });
    const { request, response } = await requests.next();
    expect(request.url).toBe("/v1/environments/default/subscribe?pattern=order.%3E&space=acme&space=a%26b");
    stream(response).write(`event: ready\nid: c0\n\n${frame("c1", { space: "acme" })}`);
    expect(await events.next()).toBe("acme");
    (await subscribing).close();
    await expect(client.subscribe("x", { spaces: [], onEvent: () => {} })).rejects.toThrow(/spaces of a subscription are names/);
  });

  it("goes on after the last taken event when the connection is lost", async () => {
    const { client, requests } = await server();
    const events = new Inbox<any>();
    const errors: Error[] = [];
    const subscribing = client.subscribe("x", { onEvent: (event) => events.put(event), onError: (error) => errors.push(error) });
    const first = await requests.next();
    stream(first.response).write(`event: ready\nid: c0\n\n${frame("c1", { n: 1 })}id: c2\nevent: event\ndata: {"n":`);
    const subscription = await subscribing;
    await events.next();
    first.response.destroy();
    const second = await requests.next();
    expect(second.request.headers["last-event-id"]).toBe("c1");
    // The position of a resumed stream is not ours yet.
    stream(second.response).write("event: ready\nid: c9\n\n");
    second.response.end();
    const third = await requests.next();
    expect(third.request.headers["last-event-id"]).toBe("c1");
    stream(third.response).write(`event: ready\nid: c9\n\n${frame("c2", { n: 2 })}`);
    expect(await events.next()).toEqual({ n: 2 });
    subscription.close();
    expect(errors.length).toBeGreaterThan(0);
  });

  it("delivers an event again when its callback fails, and waits for each", async () => {
    const { client, requests } = await server();
    const seen: number[] = [];
    const errors: Error[] = [];
    const done = new Inbox<void>();
    const onEvent = async ({ n }: any) => {
      seen.push(n);
      // A server's error inside a callback must not pass for one of the subscription.
      if (seen.length === 1) throw new ClavigerError({ code: "secret_not_found", status: 404, detail: "gone" });
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(-n);
      if (n === 2) done.put();
    };
    const subscribing = client.subscribe("x", { after: "c0", onEvent, onError: (error) => errors.push(error) });
    const events = `event: ready\nid: c0\n\n${frame("c1", { n: 1 })}${frame("c2", { n: 2 })}`;
    for (let connection = 0; connection < 2; connection++) {
      const { request, response } = await requests.next();
      expect(request.headers["last-event-id"]).toBe("c0");
      stream(response).write(events);
    }
    const subscription = await subscribing;
    await done.next();
    expect(seen).toEqual([1, 1, -1, 2, -2]);
    expect(errors.map((error) => error.message)).toEqual(["secret_not_found: gone"]);
    subscription.close();
  });

  it("tells of gaps", async () => {
    const { client, requests } = await server();
    const gaps = new Inbox<unknown>();
    const subscribing = client.subscribe("x", { after: "old", onEvent: () => {}, onGap: (gap) => gaps.put(gap) });
    const { response } = await requests.next();
    const gap = { reason: "retention", asked: 1, first: 5 };
    stream(response).write(`event: ready\nid: c9\n\n${frame("c5", gap, "gap")}${frame("c6", {}, "later")}`);
    expect(await gaps.next()).toEqual(gap);
    const subscription = await subscribing;
    subscription.close();
    await subscription.closed;
  });

  it.each([401, 403, 404, 400])("rejects when the server answers with %i", async (status) => {
    const { client, requests } = await server();
    const errors: Error[] = [];
    const subscribing = client.subscribe("x", { onEvent: () => {}, onError: (error) => errors.push(error) });
    json((await requests.next()).response, status, { code: "denied", detail: "no" });
    await expect(subscribing).rejects.toMatchObject({ code: "denied", status });
    expect(errors).toHaveLength(1);
  });

  it("ends with the error of a later refusal", async () => {
    const { client, requests } = await server();
    const subscribing = client.subscribe("x", { onEvent: () => {}, onError: () => {} });
    stream((await requests.next()).response).end("event: ready\nid: c0\n\n");
    const subscription = await subscribing;
    json((await requests.next()).response, 401, { code: "expired_api_key", detail: "over" });
    await expect(subscription.closed).rejects.toMatchObject({ code: "expired_api_key" });
  });

  it("tries again when the server is not there or is no event stream", async () => {
    const { client, requests } = await server();
    const errors: string[] = [];
    const subscribing = client.subscribe("x", { onEvent: () => {}, onError: (error) => errors.push((error as ClavigerError).code) });
    (await requests.next()).response.destroy();
    (await requests.next()).response.writeHead(503).end();
    (await requests.next()).response.writeHead(200, { "Content-Type": "text/html" }).end("<html>");
    stream((await requests.next()).response).write("event: ready\nid: c0\n\n");
    (await subscribing).close();
    expect(errors).toEqual(["server_unreachable", "unexpected_answer", "unexpected_answer"]);
  });

  it("gives a silent server up", async () => {
    const { client, requests } = await server();
    const errors = new Inbox<Error>();
    const subscribing = client.subscribe("x", { onEvent: () => {}, onError: (error) => errors.put(error) });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      stream((await requests.next()).response).write("event: ready\nid: c0\n\n");
      const subscription = await subscribing;
      vi.advanceTimersByTime(45_001);
      expect((await errors.next()).message).toContain("silent for 45000 ms");
      subscription.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it("ends with the caller's signal, before and after it stands", async () => {
    const { client, requests } = await server();
    const early = new AbortController();
    const never = client.subscribe("x", { onEvent: () => {}, signal: early.signal });
    await requests.next();
    early.abort(new Error("enough"));
    await expect(never).rejects.toThrow("enough");
    const abort = new AbortController();
    const subscribing = client.subscribe("x", { onEvent: () => {}, signal: abort.signal });
    stream((await requests.next()).response).write("event: ready\nid: c0\n\n");
    const subscription = await subscribing;
    abort.abort();
    await subscription.closed;
    await expect(client.subscribe([], { onEvent: () => {} })).rejects.toThrow(/needs a pattern/);
  });
});
