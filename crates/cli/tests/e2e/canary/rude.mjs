// A worker that breaks the protocol with values in its frames, and prints what the server says to that.
import { WebSocket } from "ws";

const canary = process.env.CANARY;
const url = `${process.env.CLAVIGER_URL.replace("http", "ws")}/v1/worker`;
const hello = { type: "hello", protocol: 1, sdk: "rude/1", credit: 1, functions: [{ id: "rude", triggers: [], secrets: [] }] };
const noRun = `run_${"0".repeat(32)}`;
const conversations = [
  [`{"type":"hello","protocol":"${canary}"`],
  [`{"type":"${canary}"}`],
  [canary],
  [JSON.stringify({ ...hello, protocol: canary })],
  [JSON.stringify({ ...hello, environment: `No ${canary}` })],
  [JSON.stringify({ ...hello, functions: [{ id: "rude", triggers: [{ event: `..${canary}` }], secrets: [{ name: ` ${canary}` }] }] })],
  [JSON.stringify(hello), JSON.stringify({ type: canary })],
  [JSON.stringify(hello), JSON.stringify({ type: "complete", run: "run_0", fence: "0", outcomes: [], result: canary })],
  [JSON.stringify(hello), JSON.stringify({ type: "step", run: 7, fence: canary, outcomes: canary })],
  [JSON.stringify({ ...hello, functions: [{ id: "rude", spaces: [` ${canary}`], lookups: true }] })],
  [JSON.stringify({ ...hello, functions: [{ id: "rude", triggers: [{ event: "a", match: [{ path: canary, equals: canary }] }] }] })],
  [JSON.stringify(hello), JSON.stringify({ type: "lookup", run: "run_0", fence: "0", id: "1", name: canary })],
  [JSON.stringify(hello), JSON.stringify({ type: "lookup", run: noRun, fence: "7", id: "1", name: ` ${canary}`, space: ` ${canary}` })],
  [JSON.stringify(hello), JSON.stringify({ type: "lookup", run: noRun, fence: "7", id: ` ${canary}`, name: "A", environment: canary })],
];

async function converse(frames) {
  const socket = new WebSocket(url, "claviger.worker.v1", { headers: { Authorization: `Bearer ${process.env.CLAVIGER_API_KEY}` } });
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve(`${code} ${reason}`)));
  socket.on("message", (message) => console.log(String(message)));
  socket.on("error", (error) => console.log(String(error)));
  socket.on("open", () => {
    for (const frame of frames) socket.send(frame);
    // What was sent before is answered before.
    socket.send(JSON.stringify({ type: "heartbeat" }));
  });
  socket.on("message", (message) => String(message).includes('"heartbeat"') && socket.close());
  console.log(await closed);
}

for (const frames of conversations) await converse(frames);
