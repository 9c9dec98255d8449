/**
 * Any tools as a Model Context Protocol server.
 *
 * Covered over HTTP: bound to this machine unless asked otherwise; requests under a foreign Host or from a browser's Origin are
 * refused (DNS rebinding); an optional bearer token. Not covered: encryption and accounts; put a proxy in front for those.
 */
import { Console } from "node:console"
import { timingSafeEqual } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { Tool } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"

/** What the server says of itself. */
export interface McpServeOptions {
  /** Default: `chasqui`. */
  readonly name?: string
  readonly version?: string
  /** What a model is told about these tools as a whole. */
  readonly instructions?: string
  readonly signal?: AbortSignal
}

/** Where it listens, and to whom. */
export interface McpServeHttpOptions extends McpServeOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** Default: one that is free. */
  readonly port?: number
  /** Default: /mcp */
  readonly path?: `/${string}`
  /** Host names under which the server may be addressed, beside that of this machine. */
  readonly allowedHosts?: readonly string[]
  /** Origins whose pages may call; default: none. */
  readonly allowedOrigins?: readonly string[]
  /** What a client has to send as `Authorization: Bearer …`. */
  readonly token?: string
}

/** A server that listens. */
export interface McpHttpServer {
  readonly url: string
  close(): Promise<void>
}

/** Serves over standard input and output until the client goes. `console` writes to standard error meanwhile. */
export async function mcpServeStdio(tools: readonly Tool[], options: McpServeOptions = {}): Promise<void> {
  checkNames(tools)
  const { serveStdio } = await import("./effect-server.ts")
  const gone = new AbortController()
  process.stdin.once("end", () => gone.abort())
  const signal = options.signal ? AbortSignal.any([gone.signal, options.signal]) : gone.signal
  const before = globalThis.console
  globalThis.console = new Console(process.stderr) // a tool that logs must not write into the protocol
  try {
    await serveStdio(tools, identityOf(options), signal)
  } finally {
    globalThis.console = before
  }
}

/** Serves over streamable HTTP; resolves when it listens. Throws ToolSetupError when it cannot, or when two tools share a name. */
export async function mcpServeHttp(tools: readonly Tool[], options: McpServeHttpOptions = {}): Promise<McpHttpServer> {
  checkNames(tools)
  const { host = "127.0.0.1", port = 0, path = "/mcp", allowedOrigins = [] } = options
  const [{ webHandler }, { createServer }] = await Promise.all([import("./effect-server.ts"), import("node:http")])
  const handler = webHandler(tools, identityOf(options), path, allowedOrigins)
  const server = createServer((incoming, outgoing) => {
    const refusal = refusalOf(incoming, options)
    if (refusal) outgoing.writeHead(refusal, { "content-type": "text/plain" }).end()
    else void respond(incoming, outgoing, handler.handle)
  })
  const failed = await new Promise<Error | undefined>((done) => {
    server.once("error", done)
    server.listen(port, host, () => done(undefined))
  })
  if (failed) {
    await handler.close()
    throw new ToolSetupError({
      reason: "unreachable",
      detail: `The server cannot listen on ${host}:${port} (${(failed as NodeJS.ErrnoException).code}).`,
      fix: "Choose another port.",
      cause: failed,
    })
  }
  const address = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
    await handler.close()
  }
  options.signal?.addEventListener("abort", () => void close(), { once: true })
  return {
    url: `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}${path}`,
    close,
  }
}

const identityOf = ({ name = "chasqui", version = "0.1.0", instructions }: McpServeOptions) => ({
  name,
  version,
  ...(instructions !== undefined && { instructions }),
})

function checkNames(tools: readonly Tool[]): void {
  const twice = tools.find(({ name }, index) => tools.findIndex((other) => other.name === name) !== index)
  if (!twice) return
  throw new ToolSetupError({
    reason: "name-clash",
    detail: `Two tools are called ${JSON.stringify(twice.name)}.`,
    fix: "Load one of them with a prefix.",
  })
}

/** A status for what must not reach the tools. */
function refusalOf(
  { headers }: IncomingMessage,
  { host = "127.0.0.1", allowedHosts = [], token }: McpServeHttpOptions,
): number | null {
  const named = (headers.host ?? "").replace(/:\d+$/, "").toLowerCase()
  if (!["localhost", "127.0.0.1", "[::1]", host, ...allowedHosts].includes(named)) return 421
  if (token === undefined) return null
  const [given, wanted] = [Buffer.from(headers.authorization ?? ""), Buffer.from(`Bearer ${token}`)]
  return given.length === wanted.length && timingSafeEqual(given, wanted) ? null : 401
}

const mostRequestBytes = 8_388_608

async function* limited(incoming: IncomingMessage): AsyncIterable<Buffer> {
  let bytes = 0
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    bytes += piece.length
    if (bytes > mostRequestBytes) throw new Error("the request is too large")
    yield piece
  }
}

async function respond(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handle: (request: Request) => Promise<Response>,
): Promise<void> {
  const gone = new AbortController()
  outgoing.once("close", () => gone.abort())
  try {
    const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD"
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method ?? "GET",
      headers: Object.entries(incoming.headers).flatMap(([name, value]) =>
        [value ?? []].flat().map((one): [string, string] => [name, one]),
      ),
      ...(hasBody && { body: Readable.toWeb(Readable.from(limited(incoming))) as ReadableStream, duplex: "half" }),
      signal: gone.signal,
    } as RequestInit)
    const response = await handle(request)
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    if (response.body) await pipeline(Readable.fromWeb(response.body as never), outgoing)
    else outgoing.end()
  } catch {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(500).end()
  }
}
