/**
 * Requests to one remote origin, as tools need them: a time limit, a size limit, retries with growing pauses that honour
 * Retry-After, kept connections. Failures come out as ToolFailed with a short text that a model can read; secrets and bodies
 * never stand in it.
 *
 * Covered: private addresses (at connect time), redirects (never followed), endless or huge answers, answers that are not
 * JSON. Not covered: what the origin itself answers; it is data.
 */
import { setTimeout as pause } from "node:timers/promises"
import { type JsonValue, ToolFailed } from "@chasqui/core"
import type { Agent, Dispatcher } from "undici"
import { publicLookup, type Resolve } from "./address.ts"
import { checkedOrigin } from "./origin.ts"

export interface RemoteOptions {
  /** Milliseconds for one attempt, answer included. Default 10 000. */
  readonly timeoutMs?: number
  /** Attempts after the first. Default 2. */
  readonly retries?: number
  /** Bytes of an answer's body. Default 2 MiB. */
  readonly mostBytes?: number
  /** `public`: HTTPS to public addresses only. `any`: also HTTP and this machine's network, for a server of one's own. */
  readonly addresses?: "public" | "any"
  /** Milliseconds since 1970, for a Retry-After that names a date. */
  readonly now?: () => number
  readonly sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>
  readonly resolve?: Resolve
}

export interface RemoteRequest {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** Path and query, beginning with `/`. */
  readonly path: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
  readonly signal: AbortSignal
}

export interface RemoteAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

export interface Remote {
  /** An answer with a status of 2xx. Throws ToolFailed for everything else. */
  send(request: RemoteRequest): Promise<RemoteAnswer>
  /** The same, read as JSON. */
  json(request: RemoteRequest): Promise<JsonValue>
  close(): Promise<void>
}

/** Milliseconds: the first pause, and the longest one that is waited for rather than reported. */
const pauses = { firstMs: 500, longestMs: 10_000 } as const
const passing = new Set([408, 429, 500, 502, 503, 504])

/** Throws ToolSetupError for an origin that may not be reached under `options.addresses`. */
export function remote(origin: string, options: RemoteOptions = {}): Remote {
  const { timeoutMs = 10_000, retries = 2, mostBytes = 2_097_152, addresses = "public" } = options
  const { now = Date.now, sleep = (ms, signal) => pause(ms, undefined, { signal }) } = options
  const { origin: base } = checkedOrigin(origin, addresses)
  let agent: Promise<Agent> | undefined

  const attempt = async (request: RemoteRequest): Promise<RemoteAnswer> => {
    agent ??= newAgent(addresses, options.resolve)
    const dispatcher = await agent
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const answer = await dispatcher.request({
        origin: base,
        path: request.path,
        method: request.method ?? "GET",
        headers: { "user-agent": "chasqui", ...request.headers },
        body: request.body ?? null,
        signal,
      })
      return await readAnswer(answer, mostBytes, now)
    } catch (error) {
      request.signal.throwIfAborted()
      throw failureOf(error, signal)
    }
  }

  const send = async (request: RemoteRequest): Promise<RemoteAnswer> => {
    const repeatable = request.method === undefined || request.method === "GET"
    for (let tries = 0; ; tries++) {
      try {
        return await attempt(request)
      } catch (error) {
        if (!(error instanceof Passing)) throw error
        const waitMs = error.retryAfterMs ?? pauses.firstMs * 2 ** tries
        if (!repeatable || tries >= retries || waitMs > pauses.longestMs) throw error
        await sleep(waitMs, request.signal)
      }
    }
  }

  return {
    send,
    json: async (request) => parseJson(await send(request)),
    close: async () => (await agent)?.destroy(),
  }
}

async function newAgent(addresses: "public" | "any", resolve: Resolve | undefined): Promise<Agent> {
  const { Agent } = await import("undici")
  const lookup = addresses === "public" ? publicLookup(resolve) : undefined
  return new Agent({ connections: 8, connect: { timeout: 5_000, ...(lookup && { lookup }) } })
}

async function readAnswer(
  answer: Dispatcher.ResponseData,
  mostBytes: number,
  now: () => number,
): Promise<RemoteAnswer> {
  const { statusCode: status, headers, body } = answer
  if (status < 200 || status > 299) {
    await body.dump({ limit: 65_536 })
    throw refusalOf(status, String(headers["retry-after"] ?? ""), now)
  }
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > mostBytes) {
      body.destroy()
      throw new ToolFailed(`the answer is larger than ${mostBytes} bytes`)
    }
    pieces.push(piece)
  }
  return { status, contentType: String(headers["content-type"] ?? ""), text: Buffer.concat(pieces).toString("utf8") }
}

/** A failure that may be gone at the next try. */
class Passing extends ToolFailed {
  readonly retryAfterMs: number | undefined
  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

function refusalOf(status: number, retryAfter: string, now: () => number): ToolFailed {
  if (status >= 300 && status < 400)
    return new ToolFailed("the service answered with a redirect, which is not followed")
  if (status === 401 || status === 403) return new ToolFailed("invalid key")
  if (!passing.has(status)) return new ToolFailed(`the service answered with status ${status}`)
  const waitMs = retryAfterMs(retryAfter, now)
  const when = waitMs === undefined ? "" : `; it asks to wait ${Math.ceil(waitMs / 1000)} s`
  return new Passing(
    status === 429 ? `rate limit reached${when}` : `service unavailable (status ${status})${when}`,
    waitMs,
  )
}

/** Seconds or an HTTP date (RFC 9110, section 10.2.3); undefined where neither can be read. */
function retryAfterMs(value: string, now: () => number): number | undefined {
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now())
}

/** What the network did, without addresses and headers. */
function failureOf(error: unknown, signal: AbortSignal): ToolFailed {
  if (error instanceof ToolFailed) return error
  if (signal.aborted) return new Passing("timeout")
  const code = codeOf(error)
  if (code === "PRIVATE_ADDRESS") return new ToolFailed("the service's name leads to an address that is not public")
  if (code === "ENOTFOUND") return new ToolFailed("network error (the service's name is unknown)")
  if (code === "UND_ERR_CONNECT_TIMEOUT") return new Passing("timeout")
  return new Passing(`network error${code === undefined ? "" : ` (${code})`}`)
}

function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (typeof code === "string") return code
  }
  return undefined
}

function parseJson({ text, contentType }: RemoteAnswer): JsonValue {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    const kind = /html/i.test(contentType) || /^\s*</.test(text) ? "a web page" : "something"
    throw new ToolFailed(`the service answered with ${kind} instead of JSON`)
  }
}
