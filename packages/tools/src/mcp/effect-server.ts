/**
 * The only file that touches effect's MCP server (marked unstable upstream): any tools of ours as a server, over standard input
 * and output or as a handler of web requests. The input of every call is checked here as in the loop.
 */

import { type JsonObject, type JsonValue, type Tool, ToolFailed } from "@chasqui/core"
import * as NodeStdio from "@effect/platform-node-shared/NodeStdio"
import * as McpProtocol from "effect/ai/McpProtocol"
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

export interface ServerIdentity {
  readonly name: string
  readonly version: string
  /** What a model is told about these tools as a whole. */
  readonly instructions?: string
}

const protocols = [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25, McpProtocol.v2025_06_18] as const

/** Resolves when the client is gone or the signal fires. Standard output then belongs to the protocol alone. */
export async function serveStdio(tools: readonly Tool[], identity: ServerIdentity, signal: AbortSignal): Promise<void> {
  const server = McpServer.layerStdio({ ...identity, protocols, registrations: registrations(tools) })
  const running = Layer.launch(server.pipe(Layer.provide(NodeStdio.layer), Layer.provide(silent)))
  await Effect.runPromise(running, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}

export interface WebHandler {
  handle(request: Request): Promise<Response>
  close(): Promise<void>
}

/** `path` is the one endpoint. A request with an Origin is refused unless that origin is listed. */
export function webHandler(
  tools: readonly Tool[],
  identity: ServerIdentity,
  path: `/${string}`,
  origins: readonly string[],
): WebHandler {
  const layer = McpServer.layerHttp({
    ...identity,
    path,
    protocols,
    allowedOrigins: origins,
    allowSessionTermination: true,
    registrations: registrations(tools),
  })
  const { handler, dispose } = HttpRouter.toWebHandler(layer.pipe(Layer.provide(silent)), { disableLogger: true })
  return { handle: (request) => handler(request, Context.empty() as never), close: dispose }
}

/** Logs would end up on standard output, in the middle of the protocol. */
const silent = Logger.layer([])

const registrations = (tools: readonly Tool[]) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const server = yield* McpServer.McpServer
      for (const tool of tools.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
        yield* server.addTool({
          tool: described(tool),
          annotations: Context.empty(),
          handle: (payload) => answer(tool, payload),
        })
      }
    }),
  )

const described = (tool: Tool) =>
  new McpSchema.Tool({
    name: tool.name,
    description: tool.description,
    inputSchema: tool.parameters as never,
    annotations: { readOnlyHint: tool.readOnly },
  })

function answer(tool: Tool, payload: unknown) {
  return Effect.gen(function* () {
    const { clientId } = yield* McpSchema.McpRequestContext
    return yield* Effect.promise((signal) => run(tool, (payload ?? {}) as JsonObject, `mcp-${clientId}`, signal))
  })
}

/** Never rejects: a failed tool is a result that the model reads. */
async function run(tool: Tool, input: JsonObject, sessionId: string, signal: AbortSignal) {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(tool.timeoutMs)])
  try {
    const checked = await tool.check(input)
    if (!checked.ok) return failure(`The input of ${tool.name} is not valid: ${checked.problems.join("; ")}.`)
    if (needsApproval(tool, checked.input))
      return failure(`The tool ${tool.name} needs a person's approval, which cannot be asked for here.`)
    limited.throwIfAborted() // what was cancelled while its input was checked does not run
    const context = { callId: "call-0", sessionId, signal: limited, tokensLeft: 0, report: ignore, spend: ignore }
    const output = tool.execute(checked.input as never, context)
    const value = Effect.isEffect(output)
      ? Effect.runPromise(output as Effect.Effect<JsonValue, unknown>, { signal: limited })
      : (output as JsonValue | Promise<JsonValue>)
    return success(await withinTime(value, limited))
  } catch (error) {
    if (error instanceof ToolFailed) return failure(error.message)
    return failure(
      limited.aborted && !signal.aborted
        ? `The tool ${tool.name} did not answer in time.`
        : `The tool ${tool.name} failed.`,
    )
  }
}

const ignore = (): void => undefined

const needsApproval = ({ needsApproval: rule = false }: Tool, input: unknown): boolean =>
  typeof rule === "function" ? rule(input as never) : rule

/** A tool that does not listen to its signal is left behind. */
function withinTime<A>(work: A | Promise<A>, signal: AbortSignal): Promise<A> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener("abort", abort, { once: true })
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", abort))
  })
}

function success(output: JsonValue) {
  const text = typeof output === "string" ? output : JSON.stringify(output)
  const structured = typeof output === "object" && output !== null && !Array.isArray(output)
  return new McpSchema.CallToolResult({
    content: [{ type: "text", text }],
    ...(structured && { structuredContent: output }),
  })
}

const failure = (text: string) => new McpSchema.CallToolResult({ content: [{ type: "text", text }], isError: true })
