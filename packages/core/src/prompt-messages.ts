/**
 * The outside world's chat format, as `apply_chat_template` takes it, as turns. Checks shapes, and decides what the format
 * leaves open: the syntax and the end of a call in history. What the template would print wrongly is mended here and
 * nowhere else: arguments given as JSON text are parsed, an empty list of calls is no call, null content is no text.
 */
import { PromptError } from "./error.ts"
import { checkToolName, excerpt } from "./prompt-check.ts"
import type { PromptHead } from "./prompt-head.ts"
import type { Dialect } from "./prompt-part.ts"
import type { AssistantTurn, CallSyntax, IpythonTurn, JsonObject, JsonValue, ToolCall, Turn, TurnEnd } from "./turn.ts"

export interface ImportedPrompt {
  readonly turns: readonly Turn[]
  readonly head: PromptHead
  readonly addGenerationPrompt: boolean
}

/** Source: the default that the 3.1 and 3.3 template writes when it is given no date. */
const templateDate = "26 Jul 2024"

const dialects: readonly Dialect[] = ["hf", "hf-3.2", "meta"]

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads `{ messages, tools?, builtin_tools?, tools_in_user_message?, date_string?, add_generation_prompt?, dialect? }`.
 * `today` is the date that the 3.2 layout shows when none is given. Throws PromptError.
 */
export function importPrompt(request: unknown, today?: string): ImportedPrompt {
  const fields = object(request, "The request")
  const head = importHead(fields, today)
  const messages = list(fields.messages, "messages")
  const turns: Turn[] = []
  let calls = 0
  for (const [index, message] of messages.entries()) {
    const turn = importMessage(object(message, `messages[${index}]`), `messages[${index}]`, head, calls)
    if (turn.role === "assistant") calls += turn.toolCalls.length
    turns.push(turn)
  }
  return { turns, head, addGenerationPrompt: flag(fields, "add_generation_prompt") ?? false }
}

function importHead(fields: Fields, today: string | undefined): PromptHead {
  const dialect = fields.dialect ?? "hf"
  if (!dialects.includes(dialect as Dialect)) {
    throw badRequest(`dialect is ${excerpt(dialect)}.`, `Use one of ${dialects.join(", ")}.`)
  }
  const date = fields.date_string ?? (dialect === "hf-3.2" ? today : undefined) ?? templateDate
  if (typeof date !== "string") throw badRequest(`date_string is ${excerpt(date)}.`, "Pass a text such as 26 Jul 2024.")
  return {
    tools: importTools(fields.custom_tools ?? fields.tools),
    builtinTools: importBuiltinTools(fields.builtin_tools),
    toolsInUserMessage: flag(fields, "tools_in_user_message") ?? true,
    date,
    dialect: dialect as Dialect,
  }
}

/** Tools are printed as they come; only a name that could not be called is refused. */
function importTools(tools: unknown): readonly JsonValue[] | null {
  if (tools === undefined || tools === null) return null
  if (!Array.isArray(tools)) throw badTools(`tools is ${excerpt(tools)}.`, "Pass a list of functions, or leave it out.")
  return tools.map((tool: unknown, index) => {
    if (typeof tool !== "object" || tool === null || Array.isArray(tool)) {
      throw badTools(
        `tools[${index}] is ${excerpt(tool)}.`,
        "Pass { type, function: { name, description, parameters } }.",
      )
    }
    const inner = (tool as Fields).function
    const named = typeof inner === "object" && inner !== null ? (inner as Fields) : (tool as Fields)
    if (named.name !== undefined) checkToolName(named.name, `tools[${index}]`)
    return tool as JsonObject
  })
}

function importBuiltinTools(names: unknown): readonly string[] | null {
  if (names === undefined || names === null) return null
  if (!Array.isArray(names)) throw badTools(`builtin_tools is ${excerpt(names)}.`, "Pass a list of names.")
  return names.map((name: unknown, index) => {
    checkToolName(name, `builtin_tools[${index}]`)
    return name
  })
}

function importMessage(message: Fields, where: string, head: PromptHead, firstCall: number): Turn {
  const role = message.role === "tool" ? "ipython" : message.role
  const hasCalls = Array.isArray(message.tool_calls) && message.tool_calls.length > 0
  if (hasCalls && role !== "assistant") {
    throw badTurn(`${where} has tool calls in the role ${excerpt(message.role)}.`, "Only the assistant calls tools.")
  }
  switch (role) {
    case "system":
    case "user":
      return { role, content: importText(message.content, where) }
    case "assistant":
      return importAssistant(message, where, head, firstCall)
    case "ipython":
      return importResult(message, where)
    default:
      throw new PromptError({
        reason: "unknown-role",
        detail: `${where} has the role ${excerpt(message.role)}.`,
        fix: "Use one of system, user, assistant, ipython, tool.",
      })
  }
}

function importAssistant(message: Fields, where: string, head: PromptHead, firstCall: number): AssistantTurn {
  const listed = message.tool_calls ?? []
  if (!Array.isArray(listed)) throw badTurn(`${where}.tool_calls is ${excerpt(listed)}.`, "Pass a list of calls.")
  const toolCalls = listed.map((call: unknown, index) =>
    importCall(object(call, `${where}.tool_calls[${index}]`), `${where}.tool_calls[${index}]`, head, firstCall + index),
  )
  const content = importText(message.content, where)
  return { role: "assistant", content, toolCalls, end: endOf(message.stop_reason, toolCalls, head) }
}

/**
 * The template ends a call with eom whenever built-in tools are on. Meta's encoder goes by a stored stop reason; without
 * one, a call of a built-in or any call beside built-ins is taken to have ended with eom, as its models write it.
 */
function endOf(stopReason: unknown, calls: readonly ToolCall[], head: PromptHead): TurnEnd {
  if (head.dialect === "meta" && typeof stopReason === "string") return stopReason === "end_of_message" ? "eom" : "eot"
  if (calls.length === 0 || head.dialect === "hf-3.2") return "eot"
  if (head.builtinTools !== null) return "eom"
  return head.dialect === "meta" && calls.some((call) => call.syntax !== "json-call") ? "eom" : "eot"
}

function importCall(call: Fields, where: string, head: PromptHead, number: number): ToolCall {
  const called = call.function === undefined ? call : object(call.function, `${where}.function`)
  checkToolName(called.name, where)
  const id = call.id ?? `call-${number}`
  if (typeof id !== "string") throw badTurn(`${where}.id is ${excerpt(id)}.`, "Pass a text, or leave it out.")
  const input = importArguments(called.arguments ?? called.parameters, where)
  return { id, name: called.name, input, syntax: syntaxOf(called.name, head) }
}

/** Meta's encoder knows its built-ins by name; the template goes by `builtin_tools`, and that of 3.2 knows none. */
function syntaxOf(name: string, head: PromptHead): CallSyntax {
  if (head.dialect === "meta") {
    if (name === "code_interpreter") return "python-code"
    return name === "brave_search" || name === "wolfram_alpha" ? "builtin-call" : "json-call"
  }
  return head.dialect === "hf" && head.builtinTools?.includes(name) ? "builtin-call" : "json-call"
}

function importArguments(given: unknown, where: string): JsonObject {
  let input = given ?? {}
  if (typeof input === "string") {
    try {
      input = input.trim() === "" ? {} : JSON.parse(input)
    } catch {
      throw badTurn(
        `${where}.arguments is a text that is not JSON: ${excerpt(given)}.`,
        "Pass the arguments as an object.",
      )
    }
  }
  if (typeof input === "object" && input !== null && !Array.isArray(input)) return input as JsonObject
  throw badTurn(`${where}.arguments is ${excerpt(input)}.`, "Pass the arguments as an object.")
}

function importResult(message: Fields, where: string): IpythonTurn {
  if (message.content === undefined) throw badTurn(`${where} has no content.`, "Pass the tool's result as JSON.")
  const callId = message.tool_call_id
  return {
    role: "ipython",
    content: message.content as JsonValue,
    ...(typeof callId === "string" && { callId }),
    ...(typeof message.name === "string" && { toolName: message.name }),
  }
}

/** Text, null, or a list of text parts. */
function importText(content: unknown, where: string): string {
  if (typeof content === "string") return content
  if (content === null || content === undefined) return ""
  if (!Array.isArray(content)) throw badTurn(`${where}.content is ${excerpt(content)}.`, "Pass a text.")
  return content
    .map((part: unknown, index) => {
      const { type, text } = object(part, `${where}.content[${index}]`)
      if (type === "text" && typeof text === "string") return text
      throw badTurn(
        `${where}.content[${index}] has the type ${excerpt(type)}.`,
        "Pass text parts only: the model reads text.",
      )
    })
    .join("")
}

function flag(fields: Fields, name: string): boolean | undefined {
  const value = fields[name] ?? undefined
  if (value === undefined || typeof value === "boolean") return value
  throw badRequest(`${name} is ${excerpt(value)}.`, "Pass true or false.")
}

function object(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields
  throw badRequest(`${where} is ${excerpt(value)}.`, "Pass an object.")
}

function list(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw badRequest(`${where} is ${excerpt(value)}.`, "Pass a list.")
}

function badRequest(detail: string, fix: string): PromptError {
  return new PromptError({ reason: "bad-request", detail, fix })
}

function badTurn(detail: string, fix: string): PromptError {
  return new PromptError({ reason: "bad-turn", detail, fix })
}

function badTools(detail: string, fix: string): PromptError {
  return new PromptError({ reason: "bad-tools", detail, fix })
}
