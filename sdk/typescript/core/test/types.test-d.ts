/** Compiled by `npm test`, never run: what must and must not compile. */
import { createFunction, type Jsonify, Listener, type SecretName, type Step, type Trigger } from "@claviger/core";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const isTrue = <T extends true>(): T | undefined => undefined;

isTrue<Equal<SecretName<["A", { name: "B"; required: true }]>, "A" | "B">>();
isTrue<Equal<SecretName<[]>, never>>();

createFunction(
  { id: "payout", triggers: [{ event: "payout.requested" }], secrets: ["STRIPE_KEY", { name: "SLACK_WEBHOOK", required: true }] },
  async ({ event, secrets, step, signal, attempt, runId }) => {
    const key: string = secrets.get("STRIPE_KEY");
    const bytes: Uint8Array = secrets.getBytes("SLACK_WEBHOOK");
    // @ts-expect-error not declared
    secrets.get("UNDECLARED");
    // @ts-expect-error not declared
    secrets.has("constructor");
    // @ts-expect-error not a text known at compile time
    secrets.get(key);
    const charge = await step.run("charge", async () => ({ id: "ch", at: new Date() as Date, amount: event.data.amount }));
    const at: string = charge.at;
    // @ts-expect-error a Date has become text
    charge.at.getTime();
    // @ts-expect-error not a unit
    await step.sleep("nap", "5 weeks");
    const of: [AbortSignal, number, string, Uint8Array, string] = [signal, attempt, runId, bytes, at];
    return of.length;
  },
);

createFunction({ id: "none", triggers: [] }, ({ secrets }) => {
  // @ts-expect-error nothing is declared
  secrets.get("ANY");
});

new Listener({ id: "orders", spaces: ["acme"] })
  .on("order:created", async (event) => event.secrets("SLACK_TOKEN"))
  .on<{ amount: number }>("order.*", { "data.kind": "big", "data.nested": { list: [1, null] } }, async (event, { signal, attempt, runId }) => {
    const amount: number = event.data.amount;
    const space: string | undefined = event.space;
    const token: string = await event.secrets("SLACK_TOKEN", { space: null, environment: "staging" });
    const bytes: Uint8Array = await event.secrets.getBytes("SLACK_TOKEN");
    const has: boolean = await event.secrets.has("SLACK_TOKEN", { space: "other" });
    // @ts-expect-error a promise, not the text
    event.secrets("SLACK_TOKEN").length;
    // @ts-expect-error no such member
    event.data.other;
    // @ts-expect-error no such option
    await event.secrets("SLACK_TOKEN", { spaceId: "other" });
    const of: [number, string | undefined, string, Uint8Array, boolean, AbortSignal, number, string] = [amount, space, token, bytes, has, signal, attempt, runId];
    return of.length;
  });

// @ts-expect-error what is not JSON cannot be compared
new Listener({ id: "orders" }).on("a", { "data.kind": () => 1 }, () => {});
// @ts-expect-error a listener declares no secrets
new Listener({ id: "orders", secrets: ["A"] });

const paid: Trigger<{ amount: number }> = { event: "paid" };
const child = createFunction({ id: "child", triggers: [paid] }, ({ event }) => {
  const amount: number = event.data.amount;
  // @ts-expect-error no such member
  event.data.other;
  return { amount, when: new Date() };
});

export async function parent(step: Step): Promise<void> {
  const result = await step.invoke("call", { function: child });
  isTrue<Equal<typeof result, { amount: number; when: string }>>();
  const unknown = await step.invoke("call", { function: "other" });
  isTrue<Equal<typeof unknown, unknown>>();
}

isTrue<Equal<Jsonify<{ a?: string; f: () => void; d: Date; n: null }>, { a?: string; d: string; n: null }>>();
isTrue<Equal<Jsonify<void>, null>>();
isTrue<Equal<Jsonify<[1, Date]>, [1, string]>>();
const anything: Jsonify<any> = 1;
anything.whatever;
