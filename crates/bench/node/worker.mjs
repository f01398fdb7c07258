// A worker with one function of three steps and five secrets. Says `ready` when the server has accepted it, and how many
// jobs it started when it was told to stop.
import { claviger } from "../../../sdk/typescript/node/dist/index.js";

const secrets = ["STRIPE_KEY", "LEDGER_TOKEN", "MAIL_PASSWORD", "WEBHOOK_SECRET", "REPORT_KEY"];
let jobs = 0;

const payOut = claviger.createFunction(
  { id: "node-payout", triggers: [{ event: "node.requested" }], secrets: secrets.map((name) => ({ name, required: true })) },
  async ({ event, secrets: values, step }) => {
    jobs += 1;
    for (const name of secrets) values.get(name);
    const charge = await step.run("charge", () => `ch_${event.data.amount}`);
    const booked = await step.run("book", () => event.data.amount + 1);
    const told = await step.run("tell", () => true);
    return { charge, booked, told };
  },
);

const logger = { info() {}, warn: console.error, error: console.error };
const worker = claviger.worker({ functions: [payOut], concurrency: 256, logger });
await worker.start();
console.log("ready");
await worker.stopped;
console.log(String(jobs));
