// Functions that give their secrets away in every way that is masked.
import { claviger, NonRetryableError } from "@claviger/node";

const control = process.env.CONTROL;
const secrets = ["PLAIN", "SPECIAL", "LINES", "BINARY", "ROTATED", "DELETED", "ARGUMENT"];
const retry = { maxAttempts: 2, initialDelayMs: 10, backoffFactor: 1, maxDelayMs: 10 };

const on = (id, config, handler) => claviger.createFunction({ id, triggers: [{ event: `test.${id}` }], retry, ...config }, handler);

const escapeHtml = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** A value in the forms that ordinary programs give it. */
function forms(bytes) {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(buffer);
  const encoded = {
    base64: buffer.toString("base64"),
    base64url: buffer.toString("base64url"),
    shifted: ["x", "xy"].map((before) => Buffer.concat([Buffer.from(before), buffer, Buffer.from("z")]).toString("base64")),
    basic: `Basic ${Buffer.concat([Buffer.from("user:"), buffer]).toString("base64")}`,
    hex: buffer.toString("hex"),
    upper: buffer.toString("hex").toUpperCase(),
  };
  if (!isText) return encoded;
  return {
    ...encoded,
    raw: text,
    sentence: `the key is ${text}, really`,
    json: JSON.stringify({ text }),
    [`key ${text}`]: [{ [text]: { text } }],
    percent: encodeURIComponent(text),
    form: new URLSearchParams({ key: text }).toString(),
    html: escapeHtml(text),
    line: text.split("\n").at(1) ?? "",
  };
}

const all = (given) =>
  Object.fromEntries(secrets.filter((name) => given.has(name)).map((name) => [name, forms(given.getBytes(name))]));

const texts = (given) => secrets.filter((name) => name !== "BINARY" && given.has(name)).map((name) => given.get(name));

const functions = [
  on("leaky", { secrets }, async ({ event, secrets: given, step }) => {
    const forms = await step.run("forms", () => all(given));
    await step
      .run("failing", () => {
        throw Object.assign(new Error(`refused: ${texts(given).join(" ")}`), { name: texts(given)[0] });
      })
      .catch(() => {});
    await step.sendEvent("tell", { name: "test.carrier", data: { carried: all(given), texts: texts(given) } });
    await step.invoke("hand over", { function: "echo", data: texts(given) });
    await step.waitForEvent("wait", { event: "test.never", match: { path: "data.key", equals: texts(given)[0] }, timeout: 20 });
    return { forms, control: event.data.control };
  }),

  // Neither declares a secret; what they get has values in it all the same.
  on("carrier", {}, async ({ event, step }) => step.run("carry", () => event.data)),
  on("echo", {}, async ({ event }) => event.data),

  on("thrower", { secrets }, async ({ secrets: given }) => {
    throw new Error(`failed with ${JSON.stringify(all(given))} and ${texts(given).join("\n")}`);
  }),

  // The message is cut within the value.
  on("cut", { secrets }, async ({ event, secrets: given, step }) => {
    const cut = (name, before) => Object.assign(new Error("x".repeat(before) + given.get(name)), { name: "n".repeat(180) + given.get(name) });
    await step.run("caught", () => Promise.reject(cut("SPECIAL", event.data.before))).catch(() => {});
    throw cut("PLAIN", event.data.before);
  }),

  on("final", { secrets }, async ({ secrets: given }) => {
    throw Object.assign(new NonRetryableError(texts(given).join(", ")), { name: given.get("PLAIN") });
  }),

  on("too-much", { secrets }, async ({ secrets: given, step }) => {
    await step.run("too much", () => given.get("PLAIN").repeat(16_000));
  }),

  on("no-json", { secrets }, async ({ secrets: given }) => ({ [given.get("PLAIN")]: 1n, value: given.get("SPECIAL") })),

  // The worker's log has a line about each of these.
  on("curious", { secrets }, async ({ secrets: given, step }) => {
    given.has(`OTHER ${given.get("PLAIN")}`);
    await step.run("x".repeat(300) + given.get("PLAIN"), () => 1);
  }),

  // Holds its job, and so its values, until it is cancelled.
  on("holder", { secrets }, async ({ secrets: given, signal }) => {
    const held = texts(given);
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error(held.join(" ")))));
  }),

  on(`control-${control}`, {}, async ({ event }) => event.data),
];

// Looks its secrets up instead of declaring them, and gives them away all the same.
const looker = claviger.listener({ id: "looker", retry }).on("test.looker", async ({ secrets: lookUp }) => {
  const given = [await lookUp("INHERITED"), await lookUp("OVERRIDDEN")];
  const absent = await lookUp("BLOCKED").catch((error) => error.message);
  const asJson = JSON.stringify(given.map((text) => forms(Buffer.from(text))));
  throw Object.assign(new NonRetryableError(`${given.join(" ")} ${absent} ${asJson}`), { name: given[1] });
});

await claviger.worker({ functions, listeners: [looker] }).start();
