// Opens a page in Chromium and subscribes in it, as a page with @claviger/browser does. What happens there is told as lines
// of JSON on standard output. SIGTERM ends it, after a last line with all that the page knows.
//
// PAGE: the page's address; it serves the SDK as `claviger.js`.
// SUBSCRIPTIONS: a list of { label, url, apiKey, pattern }.
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--disable-gpu", "--disable-quic", "--disable-sync", "--disable-background-networking", "--disable-component-update"];

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function findChromium() {
  const candidates = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, "chromium"));
  const isProgram = (path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const found = candidates.find(isProgram);
  if (found === undefined) throw new Error("there is no `chromium` on PATH; `cargo xtask setup` installs it");
  return found;
}

/** Runs in the page. */
async function subscribe({ label, url, apiKey, pattern }) {
  const { claviger } = await import("/claviger.js");
  const show = (text) => {
    const line = document.createElement("li");
    line.textContent = text;
    document.body.append(line);
    console.log(text);
  };
  const told = { onEvent: [], onError: [] };
  window[label] = told;
  try {
    const client = claviger.client({ url, apiKey });
    await client.subscribe(pattern, {
      onEvent: (event) => {
        told.onEvent.push(event);
        show(`Secret ${event.data.name} was rotated!`);
        return window.tell({ label, event });
      },
      onError: (error) => {
        told.onError.push(String(error));
        return window.tell({ label, error: error.code ?? error.name });
      },
    });
    await window.tell({ label, subscribed: true });
  } catch (error) {
    await window.tell({ label, refused: error.code ?? error.name });
  }
}

/** Runs in the page. */
function knowledge(labels) {
  return {
    html: document.documentElement.outerHTML,
    told: labels.map((label) => window[label]),
    storage: [{ ...localStorage }, { ...sessionStorage }],
    cookies: document.cookie,
    addresses: performance.getEntries().map((entry) => entry.name),
  };
}

const subscriptions = JSON.parse(process.env.SUBSCRIPTIONS);
const profile = mkdtempSync(join(tmpdir(), "claviger-browser-"));
const signals = { handleSIGTERM: false, handleSIGINT: false, handleSIGHUP: false };
const options = { executablePath: findChromium(), headless: true, chromiumSandbox: false, args: FLAGS, ...signals };
const context = await chromium.launchPersistentContext(profile, options);
const page = await context.newPage();
const said = [];
page.on("console", (message) => said.push(message.text()));
page.on("pageerror", (error) => said.push(String(error)));
await page.exposeFunction("tell", tell);
await page.goto(process.env.PAGE);
let isClosing = false;
process.once("SIGTERM", async () => {
  isClosing = true;
  tell({ knowledge: await page.evaluate(knowledge, subscriptions.map(({ label }) => label)), said });
  await context.close();
  rmSync(profile, { recursive: true, force: true });
  process.exit(0);
});
tell({ open: true });
const standing = subscriptions.map((subscription) => page.evaluate(subscribe, subscription));
await Promise.all(standing).catch((error) => {
  // One that is still being tried ends with the page.
  if (!isClosing) throw error;
});
