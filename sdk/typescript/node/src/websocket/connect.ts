import { WebSocketConnection, type WebSocketEvents } from "./client.js";
import { handshake, type HandshakeOptions } from "./handshake.js";

/** Opens a WebSocket; see `handshake` for errors. `maxMessage`, in bytes, bounds what is received. */
export async function connectWebSocket(
  options: HandshakeOptions & { readonly maxMessage: number },
  events: WebSocketEvents,
): Promise<WebSocketConnection> {
  const upgraded = await handshake(options);
  return new WebSocketConnection(upgraded, options.maxMessage, events);
}
