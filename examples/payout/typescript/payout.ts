// A worker that pays out. Its settings are CLAVIGER_URL and CLAVIGER_API_KEY.
import { claviger, NonRetryableError } from "@claviger/node";

const STRIPE_URL = process.env.STRIPE_URL ?? "https://api.stripe.com";

interface Charge {
  readonly id: string;
  readonly amount: number;
}

interface ChargeRequest {
  readonly apiKey: string;
  readonly amount: number;
  /** The same for every repetition of the same charge, which is then made once. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

async function createCharge({ apiKey, amount, idempotencyKey, signal }: ChargeRequest): Promise<Charge> {
  const response = await fetch(`${STRIPE_URL}/v1/charges`, {
    method: "POST",
    headers: { Authorization: `Bearer ${apiKey}`, "Idempotency-Key": idempotencyKey },
    body: new URLSearchParams({ amount: String(amount), currency: "eur" }),
    signal,
  });
  if (response.status === 400 || response.status === 402) throw new NonRetryableError(`the charge was refused: ${response.status}`);
  if (!response.ok) throw new Error(`the charge failed: ${response.status}`);
  const { id } = (await response.json()) as { id: string };
  return { id, amount };
}

async function post(webhook: string, charge: Charge): Promise<void> {
  const body = JSON.stringify({ text: `Paid out ${charge.amount}: ${charge.id}` });
  const response = await fetch(webhook, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!response.ok) throw new Error(`the notification failed: ${response.status}`);
}

export const payout = claviger.createFunction(
  { id: "payout", triggers: [{ event: "payout.requested" }], secrets: ["STRIPE_KEY", "SLACK_WEBHOOK"] },
  async ({ event, secrets, step, signal, runId }) => {
    const apiKey = secrets.get("STRIPE_KEY");
    const { amount } = event.data;
    const charge = await step.run("charge", () => createCharge({ apiKey, amount, idempotencyKey: `${runId}-charge`, signal }));
    if (secrets.has("SLACK_WEBHOOK")) await step.run("notify", () => post(secrets.get("SLACK_WEBHOOK"), charge));
    return charge;
  },
);

await claviger.worker({ functions: [payout] }).start();
