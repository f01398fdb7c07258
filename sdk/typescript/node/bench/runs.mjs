// How many three-step runs a worker executes per second, against a server in another process that only answers.
// The server is the `ws` package and stores nothing, so the number is the SDK's own limit.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { claviger } from "@claviger/node";

const RUNS = Number(process.argv[2] ?? 20_000);
const IN_FLIGHT = 64;

const server = fork(fileURLToPath(new URL("server.mjs", import.meta.url)), [String(RUNS), String(IN_FLIGHT)]);
const [{ url }] = await once(server, "message");
const names = ["A", "B", "C", "D", "E"];
const threeSteps = claviger.createFunction({ id: "three-steps", triggers: [{ event: "bench" }], secrets: names }, async ({ event, secrets, step }) => {
  const first = await step.run("first", () => ({ amount: event.data.amount, length: secrets.get("A").length }));
  const second = await step.run("second", () => first.amount + 1);
  return step.run("third", () => second + 1);
});
const quiet = { info() {}, warn: console.error, error: console.error };
const worker = claviger.worker({ functions: [threeSteps], url, apiKey: "clv_bench", concurrency: IN_FLIGHT, logger: quiet });
const finished = once(server, "message");
await worker.start();
const [{ ms }] = await finished;
const cpu = process.cpuUsage();
console.log(`${RUNS} three-step runs, ${IN_FLIGHT} in flight: ${Math.round((RUNS / ms) * 1000)} runs/s, ${Math.round((cpu.user + cpu.system) / RUNS)} µs of worker CPU per run`);
await worker.stop();
server.kill();
