/**
 * HTTP requests with the token of the user.
 *
 * @module duologue/http
 */

import { disconnected, responseError } from "./error.js";

const REQUEST_TIMEOUT_MS = 30_000;

/**
 * Sends a request and returns the body of the response.
 * @param {import("./types.js").Options} options
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {Object<string, string>} [extraHeaders]
 * @returns {Promise<any>}
 */
export async function sendRequest({ url, getToken }, method, path, body, extraHeaders) {
  const token = await getToken?.();
  const headers = new Headers(extraHeaders);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", "application/json");
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const init = { method, headers, signal, body: body && JSON.stringify(body) };
  let response, text;
  try {
    response = await fetch(url + path, init);
    text = await response.text();
  } catch (cause) {
    throw disconnected("The service cannot be reached.", cause);
  }
  if (response.ok) return text ? JSON.parse(text) : {};
  throw responseError(text, response);
}

/** Requests a ticket; returns the URL of a WebSocket that resumes at the cursor, if there is one. */
export async function requestSocketUrl(options, cursor) {
  const { url, user } = options;
  const { ticket } = await sendRequest(options, "POST", "/tickets", user ? { user } : {});
  const query = new URLSearchParams({ ticket, ...(cursor && { cursor }) });
  return `${url.replace(/^http/, "ws")}/ws?${query}`;
}
