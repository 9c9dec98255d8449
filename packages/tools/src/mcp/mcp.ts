/**
 * `mcp.stdio(…)` and `mcp.http(…)`: the tools of a server as tools of an agent. The protocol is loaded at the first use.
 *
 * Covered: a server gets only the environment that it is given; HTTP goes to public addresses over HTTPS unless the host says
 * otherwise, and follows no redirect. Not covered: what a server started by the host does on its machine; what it says is data.
 */
import { ToolSetupError } from "../error.ts"
import { publicLookup, type Resolve } from "../http/address.ts"
import { checkedOrigin } from "../http/origin.ts"
import { type McpOptions, type McpSource, mcpSource } from "./client.ts"

/** Options for a server that is started here. */
export interface McpStdioOptions extends McpOptions {
  /** Variables beside PATH, HOME and the like. */
  readonly env?: { readonly [name: string]: string }
  readonly cwd?: string
}

/** Options for a server that runs elsewhere. */
export interface McpHttpOptions extends McpOptions {
  readonly headers?: { readonly [name: string]: string }
  /** `public`: HTTPS to public addresses only (default). `any`: also HTTP and this machine's network. */
  readonly addresses?: "public" | "any"
  readonly resolve?: Resolve
}

/** Connects to a server and lists its tools. Both reject with ToolSetupError: unreachable, drift, or no usable tool. */
export const mcp = {
  /** Starts `command` with `args` (no shell) and speaks over its standard input and output. */
  stdio: (command: string, args: readonly string[] = [], options: McpStdioOptions = {}): Promise<McpSource> =>
    mcpSource(async (revision, timeoutMs) => {
      const { connectStdio } = await import("./effect-client.ts")
      const env = { ...inheritedEnvironment(), ...options.env }
      return connectStdio(
        { command, args, env, ...(options.cwd !== undefined && { cwd: options.cwd }) },
        { revision, timeoutMs },
      )
    }, options),

  /** Connects to the endpoint of a server that runs elsewhere. */
  http: async (url: string, options: McpHttpOptions = {}): Promise<McpSource> => {
    const fetch = await guardedFetch(url, options)
    const source = await mcpSource(async (revision, timeoutMs) => {
      const { connectHttp } = await import("./effect-client.ts")
      return connectHttp({ url, headers: options.headers ?? {}, fetch: fetch.fetch }, { revision, timeoutMs })
    }, options).catch(async (error: unknown) => {
      await fetch.close()
      throw error
    })
    const close = async () => {
      await source.close()
      await fetch.close()
    }
    return { ...source, close }
  },
}

/** What programs need to find their own files; nothing else of the host's environment. */
const inheritedNames = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR"]

function inheritedEnvironment(): Record<string, string> {
  const pairs = inheritedNames.map((name) => [name, process.env[name]] as const)
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined))
}

async function guardedFetch(url: string, { addresses = "public", resolve }: McpHttpOptions) {
  if (!URL.canParse(url)) {
    throw new ToolSetupError({
      reason: "bad-address",
      detail: `${JSON.stringify(url)} is no URL.`,
      fix: "Give the server's endpoint.",
    })
  }
  checkedOrigin(new URL(url).origin, addresses)
  const { Agent, fetch } = await import("undici")
  // How long a call may take is decided in client.ts.
  const timeouts = { headersTimeout: 0, bodyTimeout: 0 }
  const agent = new Agent({ connect: addresses === "public" ? { lookup: publicLookup(resolve) } : {}, ...timeouts })
  const guarded = (input: string | URL | Request, init?: RequestInit) =>
    fetch(input as never, { ...(init as object), redirect: "error", dispatcher: agent }) as unknown as Promise<Response>
  return { fetch: guarded as typeof globalThis.fetch, close: () => agent.destroy() }
}
