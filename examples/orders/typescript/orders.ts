// A worker that listens for orders. Its settings are CLAVIGER_URL and CLAVIGER_API_KEY.
import { claviger } from "@claviger/node";

const STRIPE_URL = process.env.STRIPE_URL ?? "https://api.stripe.com";

interface Order {
  readonly order: string;
  readonly amount: number;
  readonly kind?: "big";
}

async function send(url: string, init: RequestInit): Promise<void> {
  const { ok, status } = await fetch(url, { method: "POST", ...init });
  // Neither the address nor the headers: one may be a secret, the other hold one.
  if (!ok) throw new Error(`the request was refused: ${status}`);
}

const orders = claviger.listener({ id: "orders" });

// Each space may have a channel of its own; the others use the environment's.
orders.on<Order>("order:created", async ({ data, space, secrets }, { signal }) => {
  const text = `Order ${data.order} over ${data.amount}${space === undefined ? "" : ` in ${space}`}`;
  const headers = { "Content-Type": "application/json" };
  await send(await secrets("SLACK_WEBHOOK"), { headers, body: JSON.stringify({ text }), signal });
});

// A deposit for big orders, where a key for it is set.
orders.on<Order>("order:created", { "data.kind": "big" }, async ({ id, data, secrets }, { signal }) => {
  if (!(await secrets.has("STRIPE_KEY"))) return;
  // The event may come again: with the same key the deposit is made once.
  const headers = { Authorization: `Bearer ${await secrets("STRIPE_KEY")}`, "Idempotency-Key": `${id}-deposit` };
  const body = new URLSearchParams({ amount: String(Math.ceil(data.amount / 10)), currency: "eur" });
  await send(`${STRIPE_URL}/v1/charges`, { headers, body, signal });
});

await claviger.worker({ listeners: [orders] }).start();
