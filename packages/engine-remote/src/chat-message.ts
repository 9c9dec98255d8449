/** Turns and tools in the words of the chat-completions interface. Pure: no network, no state. */
import type { JsonValue, PromptOptions, Tool, ToolDefinition, Turn } from "@chasqui/core"

export interface ChatToolCall {
  readonly id: string
  readonly type: "function"
  readonly function: { readonly name: string; readonly arguments: string }
}

export type ChatMessage =
  | { readonly role: "system" | "user"; readonly content: string }
  | { readonly role: "assistant"; readonly content: string | null; readonly tool_calls?: readonly ChatToolCall[] }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string }

export interface ChatTool {
  readonly type: "function"
  readonly function: { readonly name: string; readonly description: string; readonly parameters: JsonValue }
}

/** All turns as messages. A result whose call is no call of the message before it goes as the user's, since servers refuse it. */
export function chatMessages(turns: readonly Turn[]): readonly ChatMessage[] {
  let calls: ReadonlySet<string> = new Set()
  return turns.map((turn) => {
    if (turn.role === "assistant") calls = new Set(turn.toolCalls.map(({ id }) => id))
    const orphan = turn.role === "ipython" && turn.callId !== undefined && !calls.has(turn.callId)
    return chatMessage(orphan ? { role: "ipython", content: turn.content } : turn)
  })
}

function unreadText(name: string | null, raw: string): string {
  return name === null || raw.includes(name) ? raw : `${name} ${raw}`
}

function chatMessage(turn: Turn): ChatMessage {
  switch (turn.role) {
    case "system":
    case "user":
      return { role: turn.role, content: turn.content }
    case "assistant": {
      const calls = turn.toolCalls.map(
        ({ id, name, input }): ChatToolCall => ({
          id,
          type: "function",
          function: { name, arguments: JSON.stringify(input) },
        }),
      )
      // A call that could not be read would make a server refuse every later request: it stays as the text that it was.
      const text = [turn.content, ...(turn.unreadCalls ?? []).map(({ name, raw }) => unreadText(name, raw))]
        .filter((part) => part !== "")
        .join("\n")
      const content = text === "" && calls.length > 0 ? null : text
      return { role: "assistant", content, ...(calls.length > 0 && { tool_calls: calls }) }
    }
    case "ipython": {
      const content = typeof turn.content === "string" ? turn.content : JSON.stringify(turn.content)
      // Imported history may have results without a call: a server refuses a tool message that answers nothing.
      return turn.callId === undefined
        ? { role: "user", content }
        : { role: "tool", tool_call_id: turn.callId, content }
    }
  }
}

/** Every offered tool as a function: a server of messages knows no built-ins. */
export function chatTools({ tools }: PromptOptions, builtins: readonly ToolDefinition[]): readonly ChatTool[] {
  return [...builtins, ...tools].map(({ name, description, parameters }) => ({
    type: "function",
    function: { name, description, parameters },
  }))
}

/** The definitions of the built-in tools, whose schemas a prompt of Llama's own does not carry. */
export function builtinDefinitions(names: readonly string[] | null): readonly Pick<Tool, keyof ToolDefinition>[] {
  const text = (name: string, description: string) => ({
    type: "object",
    properties: { [name]: { type: "string", description } },
    required: [name],
  })
  const known: Readonly<Record<string, ToolDefinition>> = {
    brave_search: {
      name: "brave_search",
      description: "Search the web",
      parameters: text("query", "What to search for"),
    },
    wolfram_alpha: {
      name: "wolfram_alpha",
      description: "Compute or look up mathematics, units and science",
      parameters: text("query", "What to compute"),
    },
    code_interpreter: {
      name: "code_interpreter",
      description: "Run Python; what it prints and the value of the last expression come back",
      parameters: text("code", "The Python code"),
    },
  }
  return (names ?? []).flatMap((name) => known[name] ?? [])
}
