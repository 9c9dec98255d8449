/** The seam to the Model Context Protocol: what the client needs of a connection, and what a server makes of tools. Plain data. */
import type { JsonObject } from "@chasqui/core"

/** The revisions of the protocol that are asked for; the newest is tried first. A server may answer the second with an older one. */
export type ProtocolRevision = "2026-07-28" | "2025-11-25"
export const protocolRevisions: readonly ProtocolRevision[] = ["2026-07-28", "2025-11-25"]

export interface RemoteTool {
  readonly name: string
  readonly description: string
  readonly inputSchema: JsonObject
  /** The server's own word that the tool changes nothing. */
  readonly readOnly: boolean
}

/** One piece of a result. Everything but text is described, not carried. */
export type ResultPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "other"; readonly description: string }

export interface RemoteResult {
  readonly parts: readonly ResultPart[]
  readonly structured: unknown
  readonly isError: boolean
}

export interface CallOptions {
  readonly signal: AbortSignal
  /** Called when the server reports progress on this call. */
  readonly onProgress: () => void
}

export interface Connection {
  /** What was asked for, and what the server answered it would speak. */
  readonly revision: ProtocolRevision
  readonly spoken: string
  /** As the server names itself. */
  readonly serverName: string | undefined
  listTools(): Promise<readonly RemoteTool[]>
  /** Rejects with a ConnectionError, or with the signal's reason; an abort is told to the server. */
  call(name: string, input: JsonObject, options: CallOptions): Promise<RemoteResult>
  close(): Promise<void>
}

/** `lost`: this connection is of no more use. `refused`: the server answered with an error. */
export class ConnectionError extends Error {
  readonly kind: "lost" | "refused"
  constructor(kind: "lost" | "refused", message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
  }
}
