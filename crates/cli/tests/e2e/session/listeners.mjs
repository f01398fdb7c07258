// The listeners of the tests, and functions in spaces. `listeners.rs` has the same ones in Rust.
import { claviger } from "@claviger/node";

const retry = { maxAttempts: 3, initialDelayMs: 20, backoffFactor: 1, maxDelayMs: 20 };

/** Tells the test. An error of the test's server becomes the handler's. */
async function report(seen) {
  const response = await fetch(`${process.env.REPORT_URL}/seen`, { method: "POST", body: JSON.stringify(seen) });
  if (!response.ok) throw new Error(`the report was refused: ${response.status}`);
}

const said = (looking) => looking.catch((error) => error.message);

const looking = claviger.listener({ id: "looking", retry }).on("look.*", async ({ secrets, space }) => {
  await report({
    space: space ?? null,
    own: await said(secrets("TOKEN")),
    environment: await said(secrets("TOKEN", { space: null })),
    acme: await said(secrets("TOKEN", { space: "acme" })),
    staging: await said(secrets("TOKEN", { environment: "staging" })),
    empty: await said(secrets("EMPTY")),
    has: [await secrets.has("TOKEN"), await secrets.has("EMPTY"), await secrets.has("ABSENT")],
  });
});

const patient = claviger.listener({ id: "patient" }).on("test.patient", async ({ secrets }) => {
  const first = await secrets("TOKEN");
  await report({ first });
  let second = first;
  while (second === first) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    second = await secrets("TOKEN");
  }
  await report({ second });
});

const many = claviger.listener({ id: "many" }).on("test.many", async ({ secrets }) => {
  await report(await Promise.all(Array.from({ length: 40 }, (_, number) => secrets(`KEY_${number}`))));
});

const several = claviger
  .listener({ id: "several", retry })
  .on("several.*", ({ secrets }) => secrets("TOKEN").then((token) => report({ handler: 1, token })))
  .on("several.*", { "data.kind": "big" }, ({ secrets }) => secrets("TOKEN").then((token) => report({ handler: 2, token })))
  .on("several.>", { "data.kind": "small" }, () => report({ handler: 3 }))
  .on(">", { "data.kind": "big", "data.sizes.1": 7 }, () => report({ handler: 4 }));

const narrow = claviger.listener({ id: "narrow", spaces: ["acme"] }).on("narrow.*", ({ space }) => report({ space: space ?? null }));

const shared = claviger.listener({ id: "shared" }).on("test.shared", ({ id }) => report({ id }));

const leaking = claviger.listener({ id: "leaking", retry: { maxAttempts: 1 } }).on("test.leaking", async ({ secrets }) => {
  throw new Error(`the token is ${await secrets("TOKEN")}`);
});

const placed = claviger.createFunction(
  { id: "placed", triggers: [{ event: "placed.*", match: [{ path: "data.kind", equals: "big" }] }], spaces: ["acme"], secrets: ["TOKEN"] },
  async ({ event, secrets, step }) => {
    await step.sendEvent("tell", { name: "narrow.told" });
    return { space: event.space, length: secrets.get("TOKEN").length };
  },
);

const all = { functions: [placed], listeners: [looking, patient, many, several, narrow, shared, leaking] };
const only = process.env.ONLY_NARROW ? { listeners: [narrow] } : all;
await claviger.worker(only).start();
