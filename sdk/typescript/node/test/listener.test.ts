import type { Server } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claviger, type Listener, type Logger } from "../src/index.js";
import { Inbox, type Peer, stop, workerServer } from "./support.js";

const VALUE = "canary-slack-100c4b";
const servers: Server[] = [];
const workers: { abort(): void }[] = [];
let lines: string[] = [];
const take = (line: string) => void lines.push(line);
const logger: Logger = { debug: take, info: take, warn: take, error: take };

beforeEach(() => {
  lines = [];
});

afterEach(async () => {
  for (const worker of workers.splice(0)) worker.abort();
  await Promise.all(servers.splice(0).map(stop));
  expect(lines.join("\n")).not.toContain(VALUE);
});

/** A registered worker with these listeners, as the server sees it. */
async function start(...listeners: Listener[]): Promise<{ peer: Peer; peers: Inbox<Peer>; hello: any }> {
  const { url, peers, server } = await workerServer();
  servers.push(server);
  const worker = claviger.worker({ listeners, url, apiKey: "clv_key", logger, handleSignals: false });
  workers.push(worker);
  void worker.start();
  const peer = await peers.next();
  const hello = await peer.frames.next();
  peer.register({ functions: ["orders"] });
  return { peer, peers, hello };
}

const event = { id: "e1", name: "order:created", data: { kind: "big" }, at: 1, environment: "default", space: "acme" };
const claim = { run: "run_1", fence: "f1" };
const job = { type: "job", ...claim, function: "orders", attempt: 1, event, steps: [], secrets: [] };
const secret = { type: "secret", ...claim, id: "1", name: "SLACK_TOKEN", version: 3, value: VALUE };

describe("a worker with a listener", () => {
  it("declares it, and looks up what its handler asks for", async () => {
    const values = new Inbox<string>();
    const listener = claviger.listener({ id: "orders", spaces: ["acme"] }).on("order:created", async ({ secrets }) => values.put(await secrets("SLACK_TOKEN")));
    const { peer, hello } = await start(listener);
    expect(hello.functions).toEqual([{ id: "orders", triggers: [{ event: "order:created" }], spaces: ["acme"], secrets: [], lookups: true }]);
    peer.send(job);
    expect(await peer.frames.next()).toEqual({ type: "lookup", ...claim, id: "1", name: "SLACK_TOKEN" });
    // Of an older claim, and of another run.
    peer.send({ ...secret, fence: "f0", value: "not this one" });
    peer.send({ ...secret, run: "run_2", value: "nor this one" });
    peer.send(secret);
    expect(await values.next()).toBe(VALUE);
    expect(await peer.frames.next()).toEqual({ type: "complete", ...claim, outcomes: [], result: null });
  });

  it("asks again after a change, and when the server could not say", async () => {
    const values = new Inbox<string>();
    const again = new Inbox<void>();
    const { peer } = await start(
      claviger.listener({ id: "orders" }).on(">", async ({ secrets }) => {
        values.put(await secrets("SLACK_TOKEN").catch((error) => error.message));
        values.put(await secrets("SLACK_TOKEN"));
        await again.next();
        values.put(await secrets("SLACK_TOKEN"));
      }),
    );
    peer.send(job);
    await peer.frames.next();
    peer.send({ type: "error", code: "unavailable", detail: "not now", ...claim, id: "1" });
    expect(await values.next()).toBe("unavailable: not now");
    expect(await peer.frames.next()).toMatchObject({ type: "lookup", id: "2" });
    peer.send({ ...secret, id: "2" });
    expect(await values.next()).toBe(VALUE);
    peer.send({ type: "changed", ...claim, fence: "f0", name: "SLACK_TOKEN" });
    peer.send({ type: "changed", ...claim, name: "SLACK_TOKEN" });
    // Frames are taken in order: when another job was taken, the change was too.
    peer.send({ ...job, run: "run_2" });
    expect(await peer.frames.next()).toMatchObject({ type: "lookup", run: "run_2", id: "1" });
    again.put();
    expect(await peer.frames.next()).toMatchObject({ type: "lookup", run: "run_1", id: "3" });
    peer.send({ ...secret, id: "3", version: 4, value: "the next value" });
    expect(await values.next()).toBe("the next value");
  });

  it("masks what it looked up in its log, like what was delivered", async () => {
    const { peer } = await start(
      claviger.listener({ id: "orders" }).on("order:created", async ({ secrets }) => {
        throw new Error(`bad token ${await secrets("SLACK_TOKEN")} ${Buffer.from(await secrets.getBytes("BYTES")).toString("hex")}`);
      }),
    );
    peer.send(job);
    await peer.frames.next();
    peer.send(secret);
    expect(await peer.frames.next()).toMatchObject({ type: "lookup", id: "2", name: "BYTES" });
    peer.send({ ...secret, id: "2", name: "BYTES", version: 1, value: Buffer.from([255, 0, 1, 2, 3, 4]).toString("base64"), encoding: "base64" });
    // The server masks what a run reports.
    expect(await peer.frames.next()).toMatchObject({ type: "fail", error: { message: `bad token ${VALUE} ff0001020304` } });
    expect(lines.join("\n")).toContain("failed: Error: bad token «SLACK_TOKEN@3» «BYTES@1»");
  });

  it("ends open look-ups when the connection is lost, and begins anew with the next job", async () => {
    const outcomes = new Inbox<string>();
    const { peer, peers } = await start(
      claviger.listener({ id: "orders" }).on("order:created", async ({ secrets }) => outcomes.put(await secrets("SLACK_TOKEN").catch((error) => error.message))),
    );
    peer.send(job);
    await peer.frames.next();
    peer.socket.terminate();
    expect(await outcomes.next()).toBe("the run is over for this worker: lost");
    const again = await peers.next();
    expect(await again.frames.next()).toMatchObject({ type: "hello", functions: [{ id: "orders" }] });
    again.register({ functions: ["orders"] });
    again.send({ ...job, fence: "f2" });
    expect(await again.frames.next()).toEqual({ type: "lookup", run: "run_1", fence: "f2", id: "1", name: "SLACK_TOKEN" });
    again.send({ ...secret, fence: "f2" });
    expect(await outcomes.next()).toBe(VALUE);
  });
});
