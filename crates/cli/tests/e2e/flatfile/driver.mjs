// The published Flatfile clients, unmodified, told on standard input what to do: one JSON command a line, one answer a line.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { setTimeout } from "node:timers/promises";

const { FlatfileClient } = createRequire(import.meta.url)("@flatfile/api");
const { default: FlatfileListener } = await import("@flatfile/listener");

// What the clients print belongs to the log.
console.log = (...what) => console.error(...what);

const api = new FlatfileClient(JSON.parse(process.env.CLIENT_OPTIONS ?? "{}"));

/** How far a poller goes back behind the newest event: those that are created at once may be listed in either order. */
const OVERLAP_MS = 1_000;

/** What the next events ask for: names and options of `event.secrets`. */
let wanted = [];
/** What handlers did since the last command. */
let handled = [];

const listener = FlatfileListener.create((root) => {
  root.on("**", async (event) => {
    const secrets = [];
    for (const [name, options] of wanted) {
      secrets.push(await outcome(() => event.secrets(name, options)));
    }
    handled.push({ id: event.src.id, topic: event.topic, payload: event.payload, secrets });
  });
  root.namespace("space:red").on("**", (event) => {
    handled.push({ red: event.src.id });
  });
});

const commands = {
  /** Calls a method of `@flatfile/api`, as `["secrets", "list"]`. */
  call: async ({ path: [resource, method], with: parameters = [] }) => await api[resource][method](...parameters),

  /** Hands an event to the listener, in the way in which an application or the one who hosts it does. */
  dispatch: async ({ event, secrets = [], way = "dispatchEvent" }) => {
    [wanted, handled] = [secrets, []];
    await listener[way](event);
    return handled;
  },

  /** Asks for a secret several times at once, within one event. */
  together: async ({ event, name, times }) => {
    const values = [];
    const own = FlatfileListener.create((root) => {
      root.on("**", async (event) => {
        values.push(...(await Promise.all(Array.from({ length: times }, () => outcome(() => event.secrets(name))))));
      });
    });
    await own.dispatchEvent(event);
    return values;
  },

  /**
   * Polls for events as the command line's driver did, until so many were handled; the oldest first. It moves `since`
   * forward, and remembers only what may be listed again.
   */
  poll: async ({ query, secrets = [], until }) => {
    [wanted, handled] = [secrets, []];
    const recent = new Map();
    let since = query.since ? Date.parse(query.since) : undefined;
    for (let count = 0; count < until; await setTimeout(20)) {
      // A server that is away comes back.
      const asked = since === undefined ? query : { ...query, since: new Date(since) };
      const { data } = await api.events.list(asked).catch(() => ({ data: [] }));
      for (const event of data.filter(({ id }) => !recent.has(id)).reverse()) {
        const at = new Date(event.createdAt).getTime();
        recent.set(event.id, at);
        count += 1;
        await listener.dispatchEvent(event);
        since = Math.max(since ?? 0, at - OVERLAP_MS);
      }
      for (const [id, at] of recent) if (at < since) recent.delete(id);
    }
    return handled;
  },

  /** Creates many events at once. */
  burst: async ({ event, count }) => {
    const number = (n) => api.events.create({ ...event, payload: { n } });
    const created = await Promise.all(Array.from({ length: count }, (_, n) => number(n)));
    return created.map(({ data }) => data.id);
  },
};

async function outcome(act) {
  try {
    return { value: await act() };
  } catch (error) {
    return { error: error.message, name: error.constructor.name, status: error.statusCode, body: error.body };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await outcome(() => commands[command.do](command)))}\n`);
}
