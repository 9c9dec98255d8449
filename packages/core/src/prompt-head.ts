/**
 * The head of a prompt: begin-of-text, the system message with date and tools, and the first user message when the tools
 * are described there. Written once per session. Layout: docs/prompt-format.md, "System message".
 */
import { PromptError } from "./error.ts"
import { checkToolName } from "./prompt-check.ts"
import { pythonJson, pythonString, pythonStrip } from "./prompt-json.ts"
import type { PromptOptions } from "./prompt-options.ts"
import type { Dialect, PromptPart } from "./prompt-part.ts"
import { specialTokens } from "./special-tokens.ts"
import type { JsonValue, Role, Turn } from "./turn.ts"

/** The head's variables as a chat template knows them, where none and an empty list are two things. */
export interface PromptHead {
  /** Tool descriptions, printed as they are; null: no tools at all. */
  readonly tools: readonly JsonValue[] | null
  /** Null: no `Tools:` line. `code_interpreter` among them is not printed. */
  readonly builtinTools: readonly string[] | null
  readonly toolsInUserMessage: boolean
  readonly date: string
  readonly dialect: Dialect
}

const respondIn =
  'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.' +
  "Do not use variables.\n\n"
const systemPreamble =
  "You have access to the following functions. " +
  `To call a function, please respond with JSON for a function call.${respondIn}`
const userPreamble =
  "Given the following functions, please respond with a JSON for a function call with its proper arguments " +
  `that best answers the given prompt.\n\n${respondIn}`

/** An agent's options as template variables: no tools is none, and a built-in is not described a second time. */
export function headOf(options: PromptOptions): PromptHead {
  for (const [index, tool] of options.tools.entries()) checkToolName(tool.name, `Tool ${index}`)
  const tools = options.tools
    .filter((tool) => !options.builtinTools?.includes(tool.name))
    .map(({ name, description, parameters }) => ({ type: "function", function: { name, description, parameters } }))
  return { ...options, tools: tools.length > 0 ? tools : null }
}

/** `<|start_header_id|>role<|end_header_id|>` and two line feeds. */
export function renderHeader(role: Role): readonly PromptPart[] {
  return [
    { special: specialTokens.startHeader },
    { text: role },
    { special: specialTokens.endHeader },
    { text: "\n\n" },
  ]
}

/** The head, and how many of the turns went into it. Throws PromptError `no-first-user-message`. */
export function renderHead(
  turns: readonly Turn[],
  head: PromptHead,
): { readonly parts: readonly PromptPart[]; readonly consumed: number } {
  const parts: PromptPart[] = [{ special: specialTokens.beginOfText }]
  if (head.dialect === "meta") return { parts, consumed: 0 }

  const first = turns[0]
  const system = first?.role === "system" ? first.content : ""
  let consumed = first?.role === "system" ? 1 : 0
  parts.push(
    ...renderHeader("system"),
    { text: systemLines(head) },
    { text: head.tools !== null && !head.toolsInUserMessage ? systemPreamble + toolListing(head.tools) : "" },
    { text: pythonStrip(system) },
    { special: specialTokens.eot },
  )
  if (head.tools !== null && head.toolsInUserMessage) {
    parts.push(
      ...renderHeader("user"),
      { text: userPreamble + toolListing(head.tools) },
      { text: pythonStrip(firstUserText(turns[consumed])) },
      { special: specialTokens.eot },
    )
    consumed++
  }
  return { parts, consumed }
}

function systemLines(head: PromptHead): string {
  const builtins = head.dialect === "hf" ? head.builtinTools : null
  const environment = builtins !== null || head.tools !== null ? "Environment: ipython\n" : ""
  const announced = builtins?.filter((name) => name !== "code_interpreter").join(", ")
  return (
    environment +
    (announced === undefined ? "" : `Tools: ${announced}\n\n`) +
    `Cutting Knowledge Date: December 2023\nToday Date: ${head.date}\n\n`
  )
}

function toolListing(tools: readonly JsonValue[]): string {
  return tools.map((tool) => `${pythonJson(tool, { indent: 4 })}\n\n`).join("")
}

/** The template relabels whatever comes first as the user's message. Where that would lose something, it is refused. */
function firstUserText(turn: Turn | undefined): string {
  const content = turn?.content
  const isText = turn?.role === "assistant" ? turn.toolCalls.length === 0 && turn.tokens === undefined : true
  if (content === undefined || (typeof content === "object" && content !== null) || !isText) {
    throw new PromptError({
      reason: "no-first-user-message",
      detail: `The tools are described in the first user message, but ${turn ? `${turn.role} speaks first` : "there is none"}.`,
      fix: "Begin with a user turn, or describe the tools in the system message (toolsInUserMessage: false).",
    })
  }
  return pythonString(content as string | number | boolean | null)
}
