// The functions of the tests. `workers.rs` has the same ones in Rust.
import { claviger, NonRetryableError } from "@claviger/node";

const stripe = process.env.STRIPE_URL;
const retry = { maxAttempts: 3, initialDelayMs: 20, backoffFactor: 1, maxDelayMs: 20 };

const on = (id, config, handler) => claviger.createFunction({ id, triggers: [{ event: `test.${id}` }], ...config }, handler);

async function charge(key, signal) {
  const headers = { "Idempotency-Key": key };
  const response = await fetch(`${stripe}/v1/charges`, { method: "POST", headers, body: "amount=1", signal });
  if (!response.ok) throw new Error(`the charge failed: ${response.status}`);
  return (await response.json()).id;
}

function message(action) {
  try {
    return action();
  } catch (error) {
    return error.message;
  }
}

const functions = [
  on("parallel", {}, async ({ step }) => {
    const numbers = await Promise.all([1, 2, 3].map((number) => step.run(`part-${number}`, () => number * 10)));
    return step.run("sum", () => numbers.reduce((sum, number) => sum + number));
  }),

  on("nap", {}, async ({ step }) => {
    const begun = await step.run("begin", () => Date.now());
    await step.sleep("nap", 150);
    await step.sleepUntil("already", new Date(0));
    return Date.now() - begun;
  }),

  on("approval", {}, async ({ event, step }) => {
    const { order } = event.data;
    const [approved, never] = await Promise.all([
      step.waitForEvent("approve", { event: "test.approved.*", match: { path: "data.order", equals: order } }),
      step.waitForEvent("never", { event: "test.never", timeout: 50 }),
    ]);
    return { by: approved.data.by, never };
  }),

  on("parent", {}, async ({ step }) => {
    const doubled = await step.invoke("double", { function: "child", data: { number: 21 } });
    const failure = await step.invoke("refuse", { function: "child", data: {} }).catch((error) => error.message);
    return { doubled, failure };
  }),

  on("child", { retry }, async ({ event }) => {
    if (event.data.number === undefined) throw new NonRetryableError("no number");
    return event.data.number * 2;
  }),

  on("teller", {}, async ({ step }) => step.sendEvent("tell", { name: "test.listener", data: { heard: "hello" } })),
  on("listener", {}, async ({ event }) => event.data.heard),

  on("flaky", { retry }, async ({ step, attempt, runId, signal }) => {
    const first = await step.run("charge", () => charge(`${runId}-charge`, signal));
    await step.run("unlucky", () => {
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
    });
    return { first, attempt };
  }),

  on("tired", { retry }, async ({ attempt }) => {
    throw new Error(`attempt ${attempt}`);
  }),

  on("hopeless", { retry }, async () => {
    throw new NonRetryableError("never");
  }),

  on("slow", {}, async ({ step, runId, signal }) => step.run("charge", () => charge(`${runId}-charge`, signal))),

  on("curious", { secrets: ["SET", "UNSET"] }, async ({ secrets }) => ({
    has: ["SET", "UNSET", "OTHER", "constructor"].map((name) => secrets.has(name)),
    unset: message(() => secrets.get("UNSET")),
    undeclared: message(() => secrets.get("OTHER")),
    length: secrets.get("SET").length,
  })),

  on("needy", { secrets: [{ name: "NEEDED", required: true }] }, async ({ secrets }) => secrets.get("NEEDED").length),

  // The rotation of a secret starts this one.
  claviger.createFunction(
    { id: "rotated", triggers: [{ event: "system.secret.ROTATING.updated" }] },
    async ({ event }) => ({ name: event.data.name, version: event.data.version }),
  ),
];

await claviger.worker({ functions }).start();
