import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { type Peer, stop, workerServer } from "./support.js";

const PROGRAM = fileURLToPath(new URL("fixtures/worker.mjs", import.meta.url));
const KEY = "clv_canary0123456789";
const servers: Server[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(servers.splice(0).map(stop));
});

/** Starts the program; resolves when it has connected. */
async function start(): Promise<{ child: ChildProcess; peer: Peer; output: () => string; exit: Promise<unknown[]> }> {
  const { url, peers, server } = await workerServer();
  servers.push(server);
  const env = { ...process.env, CLAVIGER_URL: url, CLAVIGER_API_KEY: KEY };
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, "close");
  const peer = await peers.next();
  await peer.frames.next();
  peer.register();
  await once(child.stdout, "data");
  return { child, peer, output: () => output, exit };
}

const event = { id: "e", name: "x", data: "hang", at: 1, environment: "default" };
const job = { type: "job", run: "run_1", fence: "f", function: "payout", attempt: 1, event, steps: [], secrets: [] };

describe("a worker's process", () => {
  it("drains and ends by itself after SIGTERM", async () => {
    const { child, peer, output, exit } = await start();
    child.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
    expect((await peer.closed).code).toBe(1000);
    expect(output()).toContain("the worker has stopped");
    expect(output()).not.toContain(KEY);
  });

  it("ends at once at the second signal", async () => {
    const { child, peer, exit } = await start();
    peer.send(job);
    child.kill("SIGTERM");
    expect(await peer.frames.next()).toEqual({ type: "drain" });
    child.kill("SIGTERM");
    expect(await exit).toEqual([null, "SIGTERM"]);
  });

  it("ends with an error when the server refuses it later", async () => {
    const { peer, output, exit } = await start();
    peer.send({ type: "error", code: "expired_api_key", detail: "the key has expired" });
    peer.socket.close(4401);
    expect(await exit).toEqual([1, null]);
    expect(output()).toContain("expired_api_key: the key has expired");
    expect(output()).not.toContain(KEY);
  });
});
