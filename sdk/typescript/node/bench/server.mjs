// Plays the server for runs.mjs: hands out jobs, acknowledges every frame, says how long all of them took.
import { once } from "node:events";
import { WebSocketServer } from "ws";

const [runs, inFlight] = process.argv.slice(2).map(Number);
const sockets = new WebSocketServer({ host: "127.0.0.1", port: 0 });
await once(sockets, "listening");
process.send({ url: `http://127.0.0.1:${sockets.address().port}` });
const secrets = ["A", "B", "C", "D", "E"].map((name) => ({ name, version: 1, value: `value-of-${name}` }));

sockets.on("connection", (socket) => {
  let given = 0;
  let ended = 0;
  let startedAt = 0;
  const send = (frame) => socket.send(JSON.stringify(frame));
  const give = () => {
    if (given === runs) return;
    given += 1;
    const event = { id: `e${given}`, name: "bench", data: { amount: given }, at: Date.now(), environment: "default" };
    send({ type: "job", run: `run_${given}`, fence: "1", function: "three-steps", attempt: 1, event, steps: [], secrets });
  };
  socket.on("message", (data) => {
    const frame = JSON.parse(data.toString());
    if (frame.type === "hello") {
      send({ type: "registered", protocol: 1, session: "s", environment: "default", functions: ["three-steps"], heartbeatEveryMs: 10_000, leaseMs: 30_000 });
      startedAt = performance.now();
      for (let job = 0; job < inFlight; job++) give();
    }
    if (frame.run === undefined) return;
    const isEnd = frame.type !== "step";
    send({ type: "ack", run: frame.run, fence: frame.fence, ended: isEnd, steps: [] });
    if (!isEnd) return;
    ended += 1;
    if (ended === runs) process.send({ ms: performance.now() - startedAt });
    else give();
  });
});
