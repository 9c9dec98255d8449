import type { ToolContext } from "@chasqui/core"

/** What the loop gives a tool, for calling one without a loop. */
export const toolContext = (signal: AbortSignal = new AbortController().signal): ToolContext => ({
  callId: "call-0",
  sessionId: "session",
  signal,
  tokensLeft: 1_000,
  report: () => undefined,
  spend: () => undefined,
})
