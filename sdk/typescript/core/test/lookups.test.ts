import { inspect } from "node:util";
import { ClavigerError, Listener, type ListenerEvent, type LookupOptions, SecretNotFoundError, type TriggerEvent } from "@claviger/core";
import { describe, expect, it } from "vitest";
import { deferred, Job, settle } from "./harness.js";

const VALUE = "canary-100c4b";
const EVENT: TriggerEvent = { id: "e1", name: "order:created", data: { kind: "big" }, at: 1, environment: "default", space: "acme" };
const found = { version: 3, value: VALUE };

/** A listener's job whose handler does this. */
function handling(handler: (event: ListenerEvent, signal: AbortSignal) => unknown, event: TriggerEvent = EVENT): Job {
  return new Job(new Listener({ id: "orders" }).on("order:created", (event, { signal }) => handler(event, signal)), { event });
}

const caught = (promise: Promise<unknown>): Promise<any> => promise.then(() => expect.unreachable(), (error: unknown) => error);

describe("event.secrets", () => {
  it("asks for one name in the event's space", async () => {
    const seen: unknown[] = [];
    const job = handling(async ({ secrets }) => seen.push(await secrets("SLACK_TOKEN")));
    expect(await job.next()).toEqual({ type: "lookup", run: "run_1", fence: "f1", id: "1", name: "SLACK_TOKEN" });
    job.found("1", found);
    expect(await job.pass()).toEqual({ type: "complete", run: "run_1", fence: "f1", outcomes: [], result: null });
    expect(seen).toEqual([VALUE]);
    expect(job.isEnded).toBe(true);
  });

  it.each<[LookupOptions, object]>([
    [{ space: "other" }, { space: "other" }],
    [{ space: null }, { space: null }],
    [{ space: "acme" }, {}],
    [{ environment: "default" }, {}],
    [{ environment: "staging" }, { environment: "staging" }],
    [{ environment: "staging", space: null }, { environment: "staging" }],
    [{ environment: "staging", space: "acme" }, { environment: "staging", space: "acme" }],
  ])("asks with %j for %j", async (options, members) => {
    const job = handling(({ secrets }) => secrets("SLACK_TOKEN", options));
    expect(await job.next()).toEqual({ type: "lookup", run: "run_1", fence: "f1", id: "1", name: "SLACK_TOKEN", ...members });
    job.run.cancel("cancelled");
  });

  it("says nothing of a space for an event that has none", async () => {
    const { space: _, ...event } = EVENT;
    const job = handling(({ secrets }) => Promise.all([secrets("SLACK_TOKEN", { space: null }), secrets("SLACK_TOKEN")]), event);
    expect(await job.next()).toEqual({ type: "lookup", run: "run_1", fence: "f1", id: "1", name: "SLACK_TOKEN" });
    job.found("1", found);
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(job.sent).toBe(2);
  });

  it("asks once, however often and in whichever words a secret is looked up", async () => {
    const job = handling(async ({ secrets }) => {
      const together = [secrets("SLACK_TOKEN"), secrets("SLACK_TOKEN", { space: "acme" }), secrets.has("SLACK_TOKEN", { environment: "default" })];
      expect(await Promise.all(together)).toEqual([VALUE, VALUE, true]);
      expect(await secrets("SLACK_TOKEN")).toBe(VALUE);
      expect(new TextDecoder().decode(await secrets.getBytes("SLACK_TOKEN"))).toBe(VALUE);
    });
    await job.next();
    job.found("1", found);
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(job.sent).toBe(2);
  });

  it("asks apart for different names and places, and takes the answers in any order", async () => {
    const job = handling(async ({ secrets }) => {
      expect(await Promise.all([secrets("A"), secrets("B"), secrets("A", { space: null })])).toEqual(["a", "b", "outer"]);
    });
    expect([await job.next(), await job.next(), await job.next()].map(({ id, name, space }) => [id, name, space])).toEqual([
      ["1", "A", undefined],
      ["2", "B", undefined],
      ["3", "A", null],
    ]);
    job.found("3", { name: "A", version: 1, value: "outer" });
    job.found("2", { name: "B", version: 1, value: "b" });
    job.found("1", { name: "A", version: 1, value: "a" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("has an answer to each secret that is not there", async () => {
    const errors: SecretNotFoundError[] = [];
    const job = handling(async ({ secrets }) => {
      expect(await secrets.has("SLACK_TOKEN")).toBe(false);
      errors.push(await caught(secrets("SLACK_TOKEN")));
      errors.push(await caught(secrets("a b's", { environment: "staging" })));
    });
    await job.next();
    job.found("1");
    expect(await job.next()).toMatchObject({ id: "2", name: "a b's", environment: "staging" });
    job.found("2", { name: "a b's" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(errors.every((error) => error instanceof SecretNotFoundError)).toBe(true);
    expect(errors[0]).toMatchObject({ name: "SecretNotFoundError", secret: "SLACK_TOKEN", environment: "default", space: "acme" });
    expect(errors[0]?.message).toBe(
      'secret "SLACK_TOKEN" is not set in space "acme" of environment "default", or the worker\'s API key does not reach it; set it with ' +
        "`claviger secret set SLACK_TOKEN --env default --space acme`, or see why with `claviger secret explain SLACK_TOKEN --env default --space acme`",
    );
    expect(errors[1]).toMatchObject({ environment: "staging", space: null });
    expect(errors[1]?.message).toContain("`claviger secret set 'a b'\\''s' --env staging`");
  });

  it("lets the attempt fail, to be repeated, when nobody minds a missing secret", async () => {
    const job = handling(({ secrets }) => secrets("SLACK_TOKEN"));
    await job.next();
    job.found("1");
    expect(await job.pass()).toMatchObject({ type: "fail", retryable: true, error: { name: "SecretNotFoundError" } });
  });

  it("takes an empty value for a value", async () => {
    const job = handling(async ({ secrets }) => {
      expect(await secrets("SLACK_TOKEN")).toBe("");
      expect(await secrets.has("SLACK_TOKEN")).toBe(true);
    });
    await job.next();
    job.found("1", { version: 1, value: "" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("gives bytes that are not UTF-8 as bytes only", async () => {
    const job = handling(async ({ secrets }) => {
      expect((await caught(secrets("SLACK_TOKEN"))).message).toBe('secret "SLACK_TOKEN" is not UTF-8 text; read it with getBytes');
      (await secrets.getBytes("SLACK_TOKEN")).fill(0);
      expect([...(await secrets.getBytes("SLACK_TOKEN"))]).toEqual([0xff, 0x00, 0x61, 0x62]);
    });
    await job.next();
    job.found("1", { version: 2, value: "/wBhYg==", encoding: "base64" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("shows no value in any common way", async () => {
    let seen = "";
    const job = handling(async (event) => {
      await event.secrets("SLACK_TOKEN");
      seen = inspect(event, { depth: 10, showHidden: true }) + JSON.stringify(event) + inspect(Object.getOwnPropertyDescriptors(event.secrets), { depth: 10 });
    });
    await job.next();
    job.found("1", found);
    await job.pass();
    expect(seen).toContain("order:created");
    expect(seen).not.toContain(VALUE);
    expect(inspect(job.run, { depth: 10, showHidden: true })).not.toContain(VALUE);
  });

  it.each<[string, unknown[], RegExp]>([
    ["no name", [""], /needs a name/],
    ["a name that is no text", [7], /needs a name/],
    ["an empty space", ["A", { space: "" }], /space of secret "A" is not a name/],
    ["a space that is no text", ["A", { space: 7 }], /space of secret "A" is not a name/],
    ["an empty environment", ["A", { environment: "" }], /environment of secret "A" is not a name/],
  ])("refuses %s", async (_, [name, options], message) => {
    const job = handling(async ({ secrets }) => {
      const error = await caught(secrets(name as string, options as object));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(message);
    });
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(job.sent).toBe(1);
  });
});

describe("look-ups", () => {
  it("have at most sixteen questions unanswered, and ask the others in order", async () => {
    const names = Array.from({ length: 40 }, (_, index) => `S${index}`);
    let values: string[] = [];
    const job = handling(async ({ secrets }) => void (values = await Promise.all(names.map((name) => secrets(name)))));
    await settle();
    expect(job.sent).toBe(16);
    for (const [answered, name] of names.entries()) {
      expect(job.sent - answered).toBe(Math.min(16, names.length - answered));
      const frame = await job.next();
      expect(frame).toMatchObject({ type: "lookup", name });
      job.found(frame["id"], { name, version: 1, value: `value of ${name}` });
    }
    expect(await job.pass()).toMatchObject({ type: "complete" });
    expect(values).toEqual(names.map((name) => `value of ${name}`));
  });

  it("ask again for what has changed, in every place, and for nothing else", async () => {
    const change = deferred();
    const seen: string[] = [];
    const job = handling(async ({ secrets }) => {
      const look = () => Promise.all([secrets("SLACK_TOKEN"), secrets("SLACK_TOKEN", { space: null }), secrets("OTHER")]);
      seen.push(...(await look()));
      await change.promise;
      seen.push(...(await look()));
    });
    for (const id of ["1", "2", "3"]) {
      await job.next();
      job.found(id, { version: 1, value: `first ${id}` });
    }
    job.changed("SLACK_TOKEN");
    job.changed("NOT_LOOKED_UP");
    change.resolve();
    expect([await job.next(), await job.next()]).toMatchObject([{ id: "4", name: "SLACK_TOKEN" }, { id: "5", name: "SLACK_TOKEN", space: null }]);
    job.found("4", { version: 2, value: "second" });
    job.found("5");
    expect(await job.pass()).toMatchObject({ type: "fail", error: { name: "SecretNotFoundError" } });
    expect(seen).toEqual(["first 1", "first 2", "first 3"]);
  });

  it("share no question that a change has overtaken", async () => {
    const [asked, again] = [deferred(), deferred()];
    const job = handling(async ({ secrets }) => {
      const before = secrets("SLACK_TOKEN");
      asked.resolve();
      await again.promise;
      expect(await Promise.all([before, secrets("SLACK_TOKEN")])).toEqual(["old", "new"]);
      expect(await secrets("SLACK_TOKEN")).toBe("new");
    });
    await asked.promise;
    job.changed("SLACK_TOKEN");
    again.resolve();
    expect([await job.next(), await job.next()].map(({ id }) => id)).toEqual(["1", "2"]);
    job.found("1", { version: 1, value: "old" });
    job.found("2", { version: 2, value: "new" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("reject with what the server says when it cannot answer, and are asked again", async () => {
    const job = handling(async ({ secrets }) => {
      const error = await caught(secrets("SLACK_TOKEN"));
      expect(error).toBeInstanceOf(ClavigerError);
      expect(error).toMatchObject({ code: "unavailable", detail: "the store is not there" });
      return secrets("SLACK_TOKEN");
    });
    await job.next();
    job.run.refuse({ type: "error", code: "unavailable", detail: "the store is not there", run: "run_1", fence: "f1", id: "1" });
    expect(await job.next()).toMatchObject({ type: "lookup", id: "2" });
    job.found("2", found);
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it("take no answer twice, and none to what was not asked", async () => {
    const job = handling(({ secrets }) => secrets("SLACK_TOKEN"));
    await job.next();
    job.found("7", { version: 1, value: "to nobody" });
    job.run.refuse({ type: "error", code: "unavailable", id: "7" });
    job.found("1", found);
    job.found("1", { version: 4, value: "late" });
    expect(await job.pass()).toMatchObject({ type: "complete" });
  });

  it.each(["cancelled", "timeout", "lost"])("that are open or queued reject when the job is %s", async (reason) => {
    const errors = deferred<any[]>();
    const job = handling(async ({ secrets }, signal) => {
      const open = Array.from({ length: 20 }, (_, index) => caught(secrets(`S${index}`)));
      errors.resolve([...(await Promise.all(open)), await caught(secrets("LATER")), signal.reason]);
    });
    await settle();
    expect(job.sent).toBe(16);
    job.run.cancel(reason);
    const all = await errors.promise;
    expect(new Set(all).size).toBe(1);
    expect(all[0]).toMatchObject({ name: "AbortError", message: `the run is over for this worker: ${reason}` });
    await settle();
    expect([job.sent, job.isEnded, job.warnings]).toEqual([16, true, []]);
  });

  it("are over when the event is handled", async () => {
    const late = deferred<unknown>();
    const go = deferred();
    const job = handling(({ secrets }) => {
      void secrets("SLACK_TOKEN");
      void caught(secrets("SLACK_TOKEN")).then(late.resolve);
      void go.promise.then(() => void secrets("LATER"));
    });
    expect(await job.next()).toMatchObject({ type: "lookup" });
    expect(await job.next()).toMatchObject({ type: "complete" });
    go.resolve();
    expect(await late.promise).toMatchObject({ message: "the event of run run_1 is handled: nothing is looked up for it any more" });
    job.ack([], true);
    await settle();
    expect(job.sent).toBe(2);
  });

  it("work within the steps of several handlers", async () => {
    const listener = new Listener({ id: "orders" }).on("order:*", () => {}).on("order:created", () => {}).on(">", ({ secrets }) => secrets("SLACK_TOKEN"));
    const job = new Job(listener, { event: EVENT });
    expect(await job.pass()).toMatchObject({ type: "step", outcomes: [{ id: "on/2" }] });
    expect(await job.next()).toMatchObject({ type: "lookup" });
    job.found("1", found);
    expect(await job.pass()).toMatchObject({ type: "complete", outcomes: [{ id: "on/3" }] });
  });
});
