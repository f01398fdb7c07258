import { ClavigerError } from "./errors.js";

/** Where the server is and who asks. */
export interface ClientOptions {
  /** The server's base URL, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The API key. It travels in a header only. */
  readonly apiKey: string;
  /** The environment; without it the key's own, or `default` for a key of all environments. */
  readonly environment?: string | undefined;
}

/** One call. */
export interface Call {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Error bodies are read up to this many characters. */
const MAX_PROBLEM_UNITS = 64 * 1024;

/** Calls the HTTP API with the key in a header. Errors are `ClavigerError`s that hold neither key nor body. */
export class HttpApi {
  readonly #base: string;
  readonly #authorization: string;

  /** Throws a `ClavigerError` with code `config_invalid` for an unusable URL or key. */
  constructor({ url, apiKey }: ClientOptions) {
    this.#base = parseBaseUrl(url).href.replace(/\/+$/, "");
    this.#authorization = `Bearer ${parseApiKey(apiKey)}`;
  }

  /** The response of a successful call. */
  async call({ path, method = "GET", headers = {}, body, signal }: Call): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.#base + path, {
        method,
        headers: { ...headers, Authorization: this.#authorization },
        ...(body !== undefined && { body }),
        signal,
        cache: "no-store",
        credentials: "omit",
        // A redirect could lead the key elsewhere.
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    } catch (cause) {
      throw this.#failure(cause, signal);
    }
    if (response.ok) return response;
    throw await readProblem(response);
  }

  #failure(cause: unknown, signal: AbortSignal): unknown {
    const isTimeout = signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
    if (isTimeout) return new ClavigerError({ code: "timeout", status: 0, detail: `no answer in time from ${this.#base}` });
    if (signal.aborted) return signal.reason;
    return new ClavigerError({ code: "server_unreachable", status: 0, detail: `no answer from ${this.#base}` }, { cause });
  }
}

/** Reads the base URL of a server, http or https without user, query and fragment. */
export function parseBaseUrl(url: string): URL {
  let parsed: URL | undefined;
  try {
    parsed = new URL(url);
  } catch {
    // Reported below, without the text: it may hold a password.
  }
  const isPlain = parsed && /^https?:$/.test(parsed.protocol) && !parsed.username && !parsed.password && !parsed.search && !parsed.hash;
  if (parsed && isPlain) return parsed;
  throw invalidConfig("the server's URL is not of the form http://host:port or https://host:port");
}

/** Checks that the text can be an API key, and returns it without surrounding white space. */
export function parseApiKey(apiKey: string | undefined): string {
  const key = apiKey?.trim() ?? "";
  if (key === "") throw invalidConfig("there is no API key; give one, or set CLAVIGER_API_KEY");
  if (!/^[\x21-\x7e]+$/.test(key)) throw invalidConfig("the API key holds characters that no API key has");
  return key;
}

function invalidConfig(detail: string): ClavigerError {
  return new ClavigerError({ code: "config_invalid", status: 0, detail });
}

async function readProblem(response: Response): Promise<ClavigerError> {
  const text = await response.text().catch(() => "");
  return problemError(response.status, response.headers.get("x-request-id") ?? undefined, text);
}

/** The error for a failed answer, from its `application/problem+json` body if it is one. */
export function problemError(status: number, requestId: string | undefined, body: string): ClavigerError {
  const problem = parseObject(body.slice(0, MAX_PROBLEM_UNITS));
  const text = (name: string) => (typeof problem[name] === "string" ? problem[name] : undefined);
  return new ClavigerError({
    code: text("code") ?? "unexpected_answer",
    status,
    detail: text("detail") ?? text("title") ?? `the server answered with status ${status}`,
    requestId: text("requestId") ?? requestId,
  });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
