import type { DeliveredSecret } from "./protocol.js";

/** Shorter lines of a multi-line value are ordinary text. */
const MIN_LINE = 8;

/** How a value looks in the output of ordinary programs: as it is, escaped, encoded. */
export function valueForms(secret: DeliveredSecret): string[] {
  const bytes = valueBytes(secret);
  const texts = secret.encoding === "base64" ? [] : [secret.value, ...lines(secret.value)].flatMap(textForms);
  const forms = [...texts, ...base64Forms(bytes), ...hexForms(bytes)];
  return [...new Set(forms)].filter((form) => form !== "");
}

/** The value as text. Throws an error for one that is none. */
export function textValue({ name, value, encoding }: DeliveredSecret): string {
  if (encoding !== "base64") return value;
  throw new Error(`secret "${name}" is not UTF-8 text; read it with getBytes`);
}

/** The value's bytes, however it was delivered. */
export function valueBytes({ value, encoding }: DeliveredSecret): Uint8Array {
  if (encoding !== "base64") return new TextEncoder().encode(value);
  return Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
}

function lines(text: string): string[] {
  const found = text.split(/\r?\n/);
  return found.length === 1 ? [] : found.filter((line) => line.length >= MIN_LINE);
}

/** Each form also within a JSON string, and within a JSON string in a JSON string. */
function textForms(text: string): string[] {
  const forms = [text, percent(text), new URLSearchParams({ v: text }).toString().slice(2), html(text)];
  const once = forms.map(escapeJson);
  return [...forms, ...once, ...once.map(escapeJson)];
}

function percent(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function html(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** At each of the three places where the value can begin; only the characters that it determines. */
function base64Forms(bytes: Uint8Array): string[] {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return [0, 1, 2].flatMap((before) => {
    const text = btoa("\0".repeat(before) + binary).replace(/=+$/, "");
    const form = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [form, form.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

function hexForms(bytes: Uint8Array): string[] {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex, hex.toUpperCase()];
}
