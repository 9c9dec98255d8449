/**
 * One POST to a server, tried again while it is worth it: connection failures, 408, 429 and 5xx, with growing waits that honour
 * Retry-After. Errors say what the server said, shortened, and never hold the key.
 */
import { EngineError } from "@chasqui/core"
import type { Response } from "undici"

export interface PostOptions {
  readonly url: string
  readonly apiKey: string | undefined
  readonly retries: number
  /** Milliseconds until the first byte of the answer. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Waits; rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

const mostWaitMs = 60_000

/** The response, status 2xx. Throws EngineError for everything else, and the signal's reason for an abort. */
export async function post(body: unknown, options: PostOptions): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const last = attempt >= options.retries
    const outcome = await tryPost(body, options)
    if (outcome instanceof EngineError) {
      if (last) throw outcome
      await options.sleep(backoffMs(attempt), options.signal)
      continue
    }
    if (outcome.ok) return outcome
    const failure = await refused(outcome, options)
    const again = outcome.status === 408 || outcome.status === 429 || outcome.status >= 500
    if (!again || last) throw failure
    await options.sleep(retryAfterMs(outcome) ?? backoffMs(attempt), options.signal)
  }
}

async function tryPost(
  body: unknown,
  { url, apiKey, timeoutMs, signal }: PostOptions,
): Promise<Response | EngineError> {
  // Loaded with the first request: whoever only imports this package does not pay for a client.
  const { fetch } = await import("undici")
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    return await fetch(url, {
      method: "POST",
      redirect: "error",
      signal: AbortSignal.any([signal, timeout]),
      headers: {
        "content-type": "application/json",
        accept: "text/event-stream",
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(body),
    })
  } catch (cause) {
    signal.throwIfAborted()
    const what = timeout.aborted ? `did not answer within ${timeoutMs} ms` : `cannot be reached (${reasonOf(cause)})`
    return failed(`The server ${origin(url)} ${what}.`, "Check that it runs and that the address is right.")
  }
}

async function refused(response: Response, { url }: PostOptions): Promise<EngineError> {
  const said = (await response.text().catch(() => "")).slice(0, 300).replace(/\s+/g, " ")
  const detail = `The server ${origin(url)} answered ${response.status}: ${said}`
  if (response.status === 401 || response.status === 403) {
    return new EngineError({ reason: "bad-request", detail, fix: "Check the API key." })
  }
  if (response.status === 404) {
    return new EngineError({ reason: "not-found", detail, fix: "Check the address and the name of the model." })
  }
  if (response.status === 429) {
    return new EngineError({ reason: "busy", detail, fix: "Wait, or ask for a higher limit." })
  }
  if (response.status === 400 && /context|too long|maximum/i.test(said)) {
    return new EngineError({
      reason: "context-full",
      detail,
      fix: "Shorten the conversation, or set a context policy.",
    })
  }
  return response.status < 500
    ? new EngineError({ reason: "bad-request", detail, fix: "See what the server says." })
    : failed(detail, "See the server's own log.")
}

function failed(detail: string, fix: string): EngineError {
  return new EngineError({ reason: "device-lost", detail, fix })
}

/** Seconds, or a date that lies ahead. */
function retryAfterMs(response: Response): number | undefined {
  const header = response.headers.get("retry-after")
  if (header === null) return undefined
  const seconds = Number(header)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, mostWaitMs) : undefined
}

function backoffMs(attempt: number): number {
  return Math.min(250 * 2 ** attempt, mostWaitMs)
}

function origin(url: string): string {
  return new URL(url).origin
}

function reasonOf(cause: unknown): string {
  const inner = (cause as { cause?: { code?: unknown } }).cause?.code
  return typeof inner === "string" ? inner : cause instanceof Error ? cause.message : String(cause)
}
