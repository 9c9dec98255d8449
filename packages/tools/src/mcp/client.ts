/**
 * Tools of Model Context Protocol servers. The list is read once, sorted, named `server__tool` and fingerprinted, so that the
 * head of a prompt stays the same; a server that dies keeps its tools listed, and calls fail in words until it is back.
 */
import { createHash } from "node:crypto"
import { defineTool, type JsonObject, type JsonValue, type Tool, ToolDefinitionError, ToolFailed } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"
import type { Grant } from "../plugin/plugin.ts"
import {
  type Connection,
  ConnectionError,
  type ProtocolRevision,
  protocolRevisions,
  type RemoteResult,
  type RemoteTool,
} from "./connection.ts"

/** Which tools of a server are taken, what the host allows them, and how long they may take. */
export interface McpOptions {
  /** Put before each tool's name, with two underscores. Default: the server's own name. */
  readonly name?: string
  /** The fingerprint that the tools must have: another one is refused as drift. */
  readonly fingerprint?: string
  /** Only these, by the server's names. */
  readonly only?: readonly string[]
  /** What the host allows each tool, by the full name; `as-proposed` believes the server's hints. Default: nothing. */
  readonly grants?: "as-proposed" | { readonly [tool: string]: Grant }
  /** Milliseconds without an answer or a sign of progress. Default 60 000. */
  readonly timeoutMs?: number
  /** Milliseconds for one call, however much progress it reports. Default 600 000. */
  readonly mostMs?: number
  /** Milliseconds to connect and to list. Default 15 000. */
  readonly connectTimeoutMs?: number
  /** Speak only this revision. Default: the newest that the server knows. */
  readonly revision?: ProtocolRevision
}

/** A connected server and its tools. */
export interface McpSource {
  readonly name: string
  /** Sorted by name. */
  readonly tools: readonly Tool[]
  /** SHA-256 over names, descriptions and schemas. */
  readonly fingerprint: string
  /** The revision of the protocol that the server speaks. */
  readonly revision: string
  /** Tools of the server that cannot be offered to a model, and why. */
  readonly refused: readonly { readonly name: string; readonly reason: string }[]
  readonly proposals: { readonly [tool: string]: Grant }
  close(): Promise<void>
}

/** Opens a new connection that speaks one revision. */
export type Open = (revision: ProtocolRevision, timeoutMs: number) => Promise<Connection>

/** Throws ToolSetupError: unreachable, drift from `fingerprint`, a server without a usable tool. */
export async function mcpSource(open: Open, options: McpOptions): Promise<McpSource> {
  const { timeoutMs = 60_000, mostMs = 600_000, connectTimeoutMs = 15_000 } = options
  const first = await openNewest(open, options.revision, connectTimeoutMs)
  const listed = sortedTools(await list(first, first.serverName ?? "unnamed"))
  const name = prefixOf(options.name ?? first.serverName ?? "mcp")
  const fingerprint = fingerprintOf(listed)
  if (options.fingerprint !== undefined && options.fingerprint !== fingerprint) {
    await first.close()
    throw drifted(name, fingerprint)
  }
  const link = reconnecting(first, async () => {
    const next = await open(first.revision, connectTimeoutMs)
    if (fingerprintOf(sortedTools(await next.listTools())) === fingerprint) return next
    await next.close()
    throw new ToolFailed(`the tools of the server ${name} have changed since they were loaded`)
  })
  const offered = listed.filter((tool) => options.only === undefined || options.only.includes(tool.name))
  const caller = (tool: RemoteTool) => (input: JsonObject, signal: AbortSignal) =>
    callWithin(link, tool.name, input, signal, timeoutMs, name)
  const { tools, refused } = toolsOf(offered, name, caller, options.grants, mostMs)
  const missing = (options.only ?? []).filter((wanted) => !listed.some((tool) => tool.name === wanted))
  if (missing.length > 0 || tools.length === 0) {
    await first.close()
    throw unusable(name, missing, refused)
  }
  const proposals = Object.fromEntries(offered.map((tool) => [`${name}__${tool.name}`, { readOnly: tool.readOnly }]))
  return { name, tools, fingerprint, revision: first.spoken, refused, proposals, close: link.close }
}

async function openNewest(open: Open, only: ProtocolRevision | undefined, timeoutMs: number): Promise<Connection> {
  const reasons: string[] = []
  let cause: unknown
  for (const revision of only ? [only] : protocolRevisions) {
    try {
      return await open(revision, timeoutMs)
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error
      reasons.push(`${revision}: ${error.message}`)
      cause = error
    }
  }
  throw new ToolSetupError({
    reason: "unreachable",
    detail: `The MCP server cannot be used (${reasons.join("; ")}).`,
    fix: "Check that it starts, or answers, and speaks one of these revisions.",
    cause,
  })
}

async function list(connection: Connection, name: string): Promise<readonly RemoteTool[]> {
  try {
    return await connection.listTools()
  } catch (cause) {
    await connection.close()
    throw new ToolSetupError({
      reason: "unreachable",
      detail: `The MCP server ${name} does not list its tools: ${cause instanceof Error ? cause.message : String(cause)}.`,
      fix: "Check its log.",
      cause,
    })
  }
}

const sortedTools = (tools: readonly RemoteTool[]): RemoteTool[] =>
  tools.toSorted((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0))

const prefixOf = (name: string): string => name.replace(/[^\w.-]+/g, "_").slice(0, 30)

function fingerprintOf(tools: readonly RemoteTool[]): string {
  const seen = tools.map(({ name, description, inputSchema }) => [name, description, canonical(inputSchema)])
  return createHash("sha256").update(JSON.stringify(seen)).digest("hex")
}

/** The same JSON with its keys in order, so that their order does not count. */
function canonical(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1))
  return Object.fromEntries(entries.map(([key, entry]) => [key, canonical(entry)]))
}

type Caller = (input: JsonObject, signal: AbortSignal) => Promise<JsonValue>

function toolsOf(
  listed: readonly RemoteTool[],
  prefix: string,
  caller: (tool: RemoteTool) => Caller,
  grants: McpOptions["grants"],
  mostMs: number,
) {
  const tools: Tool[] = []
  const refused: { name: string; reason: string }[] = []
  for (const tool of listed) {
    const name = `${prefix}__${tool.name}`
    const grant: Grant = grants === "as-proposed" ? { readOnly: tool.readOnly } : (grants?.[name] ?? {})
    const call = caller(tool)
    if (tools.some((other) => other.name === name)) {
      refused.push({ name: tool.name, reason: "Another tool of the server has this name." })
      continue
    }
    try {
      tools.push(
        defineTool(name, {
          description: tool.description,
          input: objectSchema(tool.inputSchema),
          provider: `mcp:${prefix}`,
          timeoutMs: mostMs,
          ...(grant.readOnly && { readOnly: true }),
          ...(grant.needsApproval && { needsApproval: true }),
          execute: (input, { signal }) => call(input as JsonObject, signal),
        }),
      )
    } catch (error) {
      if (!(error instanceof ToolDefinitionError)) throw error
      refused.push({ name: tool.name, reason: error.detail })
    }
  }
  return { tools, refused }
}

/** Some servers leave out the `type` of what can only be an object. */
const objectSchema = (schema: JsonObject) => ({ type: "object" as const, ...schema })

interface Link {
  /** The connection, opened again where it was lost. */
  get(): Promise<Connection>
  lose(connection: Connection): void
  close(): Promise<void>
}

function reconnecting(first: Connection, again: () => Promise<Connection>): Link {
  let current: Promise<Connection> | undefined = Promise.resolve(first)
  let closed = false
  return {
    get: () => {
      if (closed) throw new ToolFailed("the connection to the server is closed")
      current ??= again().catch((error: unknown) => {
        current = undefined
        throw error
      })
      return current
    },
    lose: (connection) => {
      current = undefined
      void connection.close().catch(() => undefined)
    },
    close: async () => {
      closed = true
      await current?.then((connection) => connection.close()).catch(() => undefined)
    },
  }
}

async function callWithin(
  link: Link,
  tool: string,
  input: JsonObject,
  signal: AbortSignal,
  idleMs: number,
  server: string,
): Promise<JsonValue> {
  const idle = new AbortController()
  const timer = setTimeout(() => idle.abort(), idleMs)
  let connection: Connection | undefined
  try {
    connection = await link.get()
    const result = await connection.call(tool, input, {
      signal: AbortSignal.any([signal, idle.signal]),
      onProgress: () => timer.refresh(),
    })
    return outputOf(result)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ToolFailed) throw error
    if (idle.signal.aborted) throw new ToolFailed(`the server ${server} gave no sign for ${idleMs} ms`)
    if (!(error instanceof ConnectionError)) throw error
    if (error.kind === "lost" && connection) link.lose(connection)
    throw new ToolFailed(error.kind === "lost" ? `the server ${server} is not reachable` : error.message, {
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** Structured content as it is, otherwise the text; an error of the tool is a failure that the model reads. */
function outputOf({ parts, structured, isError }: RemoteResult): JsonValue {
  const text = parts.map((part) => (part.kind === "text" ? part.text : `[${part.description}]`)).join("\n")
  if (isError) throw new ToolFailed(text || "the tool failed and did not say why")
  return structured === undefined || structured === null ? text : (structured as JsonValue)
}

const drifted = (name: string, fingerprint: string) =>
  new ToolSetupError({
    reason: "schema-drift",
    detail: `The tools of the MCP server ${name} are not those that were agreed on: their fingerprint is ${fingerprint}.`,
    fix: "Look at what has changed, then pass the new fingerprint.",
  })

const unusable = (name: string, missing: readonly string[], refused: McpSource["refused"]) =>
  new ToolSetupError({
    reason: missing.length > 0 ? "not-found" : "bad-manifest",
    detail:
      missing.length > 0
        ? `The MCP server ${name} has no tool ${missing.join(", ")}.`
        : `The MCP server ${name} has no tool that can be offered${refused[0] ? `: ${refused[0].reason}` : "."}`,
    fix: "Compare with what the server lists.",
  })
