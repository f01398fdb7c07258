const VARIABLES = { url: "CLAVIGER_URL", apiKey: "CLAVIGER_API_KEY", environment: "CLAVIGER_ENV" } as const;

const DEFAULT_URL = "http://127.0.0.1:8080";

/** The given setting, or that of the environment variables; empty text counts as absent, and the URL has a default. */
export function fromEnvironment(setting: keyof typeof VARIABLES, given: string | undefined): string {
  return given || process.env[VARIABLES[setting]] || (setting === "url" ? DEFAULT_URL : "");
}
