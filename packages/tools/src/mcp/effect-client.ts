/**
 * The only file that touches effect's MCP client (marked experimental upstream): connections over standard input and output and
 * over streamable HTTP. It adds what that client leaves out: a progress token on every call, and word of the progress.
 */

import type { JsonObject } from "@chasqui/core"
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as McpClient from "effect/ai/McpClient"
import type { McpClientError } from "effect/ai/McpClientError"
import * as McpProtocol from "effect/ai/McpProtocol"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  type Connection,
  ConnectionError,
  type ProtocolRevision,
  type RemoteResult,
  type RemoteTool,
  type ResultPart,
} from "./connection.ts"

export interface StdioServer {
  readonly command: string
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string }
  readonly cwd?: string
}

export interface HttpServer {
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly fetch: typeof globalThis.fetch
}

export interface ConnectOptions {
  readonly revision: ProtocolRevision
  /** Milliseconds for the first exchange, and for listing tools. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

const adapters = { "2026-07-28": McpProtocol.v2026_07_28, "2025-11-25": McpProtocol.v2025_11_25 } as const
const maxMessageBytes = 8_388_608
const clientIdentity = { name: "chasqui", version: "0.1.0" }

/** Starts the server as a child process. Rejects with ConnectionError; the process is then gone. */
export function connectStdio(server: StdioServer, options: ConnectOptions): Promise<Connection> {
  const tap = wiretap()
  const { command, args, env, cwd } = server
  const process = ChildProcess.make(command, args, { env, extendEnv: false, ...(cwd !== undefined && { cwd }) })
  const transport = McpClient.stdio({ command: process, protocol: adapters[options.revision], maxMessageBytes })
  const spawner = Layer.effect(
    ChildProcessSpawner,
    Effect.map(ChildProcessSpawner, (inner) => listening(inner, tap.read())),
  )
  const node = NodeChildProcessSpawner.layer.pipe(Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)))
  return connect(transport.pipe(Effect.provide(spawner.pipe(Layer.provide(node)))), tap, options)
}

/** Rejects with ConnectionError. */
export function connectHttp({ url, headers, fetch }: HttpServer, options: ConnectOptions): Promise<Connection> {
  const tap = wiretap()
  const transport = McpClient.http({ url, headers, protocol: adapters[options.revision], maxMessageBytes })
  const tapped: typeof globalThis.fetch = async (input, init) => {
    const headers = new Headers(init?.headers)
    if (tap.older !== undefined) headers.set("mcp-protocol-version", tap.older)
    return tapBody(await fetch(input, { ...init, headers }), tap.read())
  }
  const client = FetchHttpClient.layer.pipe(Layer.provide(Layer.succeed(FetchHttpClient.Fetch, tapped)))
  return connect(transport.pipe(Effect.provide(client)), tap, options)
}

async function connect(
  transport: Effect.Effect<McpClient.Transport, unknown, Scope.Scope>,
  tap: Wiretap,
  { revision, timeoutMs, signal }: ConnectOptions,
): Promise<Connection> {
  const scope = Scope.makeUnsafe()
  const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
  const opening = Effect.gen(function* () {
    const inner = yield* transport
    return yield* McpClient.make({ ...clientIdentity, timeout: timeoutMs }).pipe(
      Effect.provideService(McpClient.Transport, withWiretap(inner, tap)),
    )
  }).pipe(Effect.provideService(Scope.Scope, scope))
  try {
    const client = await Effect.runPromise(opening, signal && { signal })
    return connectionOf(client, revision, tap.older ?? revision, close)
  } catch (error) {
    await close()
    signal?.throwIfAborted()
    throw connectionError(error)
  }
}

function connectionOf(
  client: McpClient.McpClient,
  revision: ProtocolRevision,
  spoken: string,
  close: () => Promise<void>,
): Connection {
  let listed: ReadonlyMap<string, McpSchema.Tool> = new Map()
  const run = async <A>(effect: Effect.Effect<A, McpClientError>, signal?: AbortSignal): Promise<A> => {
    try {
      return await Effect.runPromise(effect, signal && { signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw connectionError(error)
    }
  }
  return {
    revision,
    spoken,
    serverName: client.serverInfo?.name,
    listTools: async () => {
      const tools = await run(client.listTools())
      listed = new Map(tools.map((tool) => [tool.name, tool]))
      return tools.map(remoteTool)
    },
    call: async (name, input, { signal, onProgress }) => {
      const tool = listed.get(name)
      if (!tool) throw new ConnectionError("refused", `the server has no tool ${JSON.stringify(name)}`)
      const calling = client.callTool({ tool, arguments: input }).pipe(Effect.provideService(OnProgress, onProgress))
      return remoteResult(await run(calling, signal))
    },
    close,
  }
}

const remoteTool = ({ name, description, inputSchema, annotations }: McpSchema.Tool): RemoteTool => ({
  name,
  description: description ?? "",
  inputSchema: inputSchema as JsonObject,
  readOnly: annotations?.readOnlyHint === true,
})

const remoteResult = ({ content, structuredContent, isError }: McpSchema.CallToolResult): RemoteResult => ({
  parts: content.map(resultPart),
  structured: structuredContent,
  isError: isError === true,
})

function resultPart(part: McpSchema.CallToolResult["content"][number]): ResultPart {
  switch (part.type) {
    case "text":
      return { kind: "text", text: part.text }
    case "image":
    case "audio":
      return { kind: "other", description: `${part.type} (${part.mimeType}, ${part.data.length} bytes)` }
    case "resource_link":
      return { kind: "other", description: `resource ${part.uri}` }
    case "resource":
      return "text" in part.resource
        ? { kind: "text", text: part.resource.text }
        : { kind: "other", description: `resource ${part.resource.uri} (${part.resource.blob.length} bytes)` }
  }
}

/** What a call does when its progress is reported; read by the transport when it sends the call. */
const OnProgress = Context.Reference<(() => void) | undefined>("chasqui/mcp/OnProgress", {
  defaultValue: () => undefined,
})

interface Wiretap {
  /** By progress token. */
  readonly listeners: Map<string | number, () => void>
  /** The older revision that the server answered with. */
  older: string | undefined
  /** A reader of one stream of the server's output. */
  read(): (piece: Uint8Array) => void
}

/** Source: "Progress" of the MCP specification: notifications/progress with the progressToken of the request. */
function wiretap(): Wiretap {
  const listeners = new Map<string | number, () => void>()
  const notice = (line: string): void => {
    if (!line.includes('"notifications/progress"')) return
    try {
      const { params } = JSON.parse(line.replace(/^data:/, "")) as { params?: { progressToken?: string | number } }
      if (params?.progressToken !== undefined) listeners.get(params.progressToken)?.()
    } catch {
      // not a message after all; the client judges those
    }
  }
  return {
    listeners,
    older: undefined,
    read: () => {
      const decoder = new TextDecoder()
      let rest = ""
      return (piece) => {
        const lines = (rest + decoder.decode(piece, { stream: true })).split("\n")
        rest = lines.pop() ?? ""
        if (rest.length > maxMessageBytes) rest = ""
        for (const line of lines) notice(line)
      }
    },
  }
}

function withWiretap(inner: McpClient.Transport, tap: Wiretap): McpClient.Transport {
  const request: McpClient.Transport["request"] = (message, tool) =>
    Effect.flatMap(OnProgress, (onProgress) => {
      if (message.method === "initialize")
        return Effect.map(inner.request(message), (response) => acceptOlder(response, tap))
      if (!onProgress || message.method !== "tools/call") return inner.request(message, tool)
      const token = `progress-${message.id}`
      const params = message.params as JsonObject
      const _meta = { ...(params._meta as JsonObject | undefined), progressToken: token }
      tap.listeners.set(token, onProgress)
      return inner
        .request({ ...message, params: { ...params, _meta } }, tool)
        .pipe(Effect.ensuring(Effect.sync(() => tap.listeners.delete(token))))
    })
  return { ...inner, request }
}

/**
 * effect's client takes no other revision than the one it asked for. Listing and calling tools have the same form since 2024-11-05,
 * so a server that answers with an older revision is spoken to all the same, under the name that it gave.
 */
function acceptOlder(response: McpSchema.JsonRpcResponse, tap: Wiretap): McpSchema.JsonRpcResponse {
  if (response.error !== undefined) return response
  const { protocolVersion } = response.result as { protocolVersion?: unknown }
  if (!olderRevisions.includes(protocolVersion as string)) return response
  tap.older = protocolVersion as string
  return { ...response, result: { ...(response.result as object), protocolVersion: "2025-11-25" } }
}
const olderRevisions: readonly string[] = ["2025-06-18", "2025-03-26", "2024-11-05"]

function listening(
  inner: typeof ChildProcessSpawner.Service,
  read: (piece: Uint8Array) => void,
): typeof ChildProcessSpawner.Service {
  const spawn: typeof inner.spawn = (command) =>
    Effect.map(inner.spawn(command), (handle) =>
      Object.create(handle, {
        stdout: { value: Stream.tap(handle.stdout, (piece) => Effect.sync(() => read(piece))) },
      }),
    )
  return Object.create(inner, { spawn: { value: spawn } })
}

function tapBody(response: Response, read: (piece: Uint8Array) => void): Response {
  if (!response.body || !/event-stream/.test(response.headers.get("content-type") ?? "")) return response
  const tap = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      read(piece)
      controller.enqueue(piece)
    },
  })
  return new Response(response.body.pipeThrough(tap), response)
}

function connectionError(error: unknown): ConnectionError {
  const { reason } = error as Partial<McpClientError>
  const message = reason?.message || (error instanceof Error ? error.message : String(error))
  const refused =
    reason?._tag === "ProtocolError" || reason?._tag === "ValidationError" || reason?._tag === "UnsupportedError"
  return new ConnectionError(refused ? "refused" : "lost", message, error)
}
