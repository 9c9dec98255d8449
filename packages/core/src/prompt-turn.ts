/**
 * One turn as prompt parts: header, body, closing token. A turn that the model wrote is its own ids; every other turn is
 * written from its fields, a call in the syntax that it carries. Knows nothing of the turns around it.
 */
import { renderCalls } from "./prompt-call.ts"
import { renderHeader } from "./prompt-head.ts"
import { pythonJson, pythonString, pythonStrip } from "./prompt-json.ts"
import type { Dialect, PromptPart } from "./prompt-part.ts"
import { type SpecialToken, specialTokens } from "./special-tokens.ts"
import type { AssistantTurn, JsonValue, Turn, TurnEnd } from "./turn.ts"

/** The whole message of a turn. Throws PromptError for values that JSON cannot carry. */
export function renderTurn(turn: Turn, dialect: Dialect): readonly PromptPart[] {
  switch (turn.role) {
    case "assistant":
      return turn.tokens ? [...renderHeader("assistant"), ...renderWritten(turn)] : renderFromFields(turn, dialect)
    case "ipython":
      return message("ipython", { text: resultText(turn.content, dialect) })
    default:
      return message(turn.role, { text: bodyText(turn.content, dialect) })
  }
}

/** An assistant turn behind its open header: the model's ids, and a closing token where the model wrote none. */
export function renderWritten(turn: AssistantTurn): readonly PromptPart[] {
  const closed = turn.end !== "length" && turn.end !== "aborted"
  return [{ tokens: turn.tokens ?? [] }, ...(closed ? [] : [{ special: specialTokens.eot }])]
}

function renderFromFields(turn: AssistantTurn, dialect: Dialect): readonly PromptPart[] {
  const closing = { special: closingToken(turn.end) }
  const text = { text: bodyText(withUnread(turn), dialect) }
  const calls = renderCalls(turn.toolCalls, dialect)
  if (calls.length === 0) return [...renderHeader("assistant"), text, closing]
  if (dialect === "meta") return [...renderHeader("assistant"), ...besideText(text, calls), closing]
  // The template drops prose beside a call and takes one call per message.
  return calls.flatMap((call) => [...renderHeader("assistant"), ...call, closing])
}

/** What could not be read as a call stands as the text that it is, so that the answer to it makes sense. */
function withUnread({ content, unreadCalls = [] }: AssistantTurn): string {
  return [content, ...unreadCalls.map(({ raw }) => raw)].filter((text) => text !== "").join("\n")
}

/** Meta puts prose in front of the calls, but behind the tag of a code call. */
function besideText(text: PromptPart, calls: readonly (readonly PromptPart[])[]): readonly PromptPart[] {
  const [head, ...rest] = calls.flat()
  const tagged = head !== undefined && "special" in head
  return tagged ? [head, text, ...rest] : [text, ...calls.flat()]
}

function message(role: Turn["role"], ...body: readonly PromptPart[]): readonly PromptPart[] {
  return [...renderHeader(role), ...body, { special: specialTokens.eot }]
}

/** Only a call under `Environment: ipython` ends its message without ending the turn. */
function closingToken(end: TurnEnd): SpecialToken {
  return end === "eom" ? specialTokens.eom : specialTokens.eot
}

function bodyText(content: string, dialect: Dialect): string {
  return dialect === "meta" ? content : pythonStrip(content)
}

/** The template quotes strings, since a string is iterable to it; Meta's encoder takes text as it is. */
function resultText(content: JsonValue, dialect: Dialect): string {
  if (dialect === "meta") return typeof content === "string" ? content : pythonJson(content, { nonAscii: "escaped" })
  return typeof content === "string" || (typeof content === "object" && content !== null)
    ? pythonJson(content)
    : pythonString(content)
}
