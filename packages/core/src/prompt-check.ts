/**
 * Refuses what no prompt may hold: unknown roles, names outside `[A-Za-z0-9_.-]{1,64}`, a call id used twice, content that
 * is not text. Values come from outside and may have any shape, whatever their type says. Texts are not judged at all:
 * whatever they say, they stay text.
 */
import { PromptError } from "./error.ts"
import { type AssistantTurn, roles, type ToolCall, type Turn } from "./turn.ts"

const toolName = /^[\w.-]{1,64}$/

/** Throws PromptError unless every turn is well formed and no two calls share an id. `first`: the index of turns[0]. */
export function checkTurns(turns: readonly Turn[], first = 0): void {
  const seen = new Set<string>()
  for (const [offset, turn] of turns.entries()) checkTurn(turn, `Turn ${first + offset}`, seen)
}

/** Throws PromptError `bad-tool-name`. `where` begins the sentence, such as `Tool 3`. */
export function checkToolName(name: unknown, where: string): asserts name is string {
  if (typeof name === "string" && toolName.test(name)) return
  throw new PromptError({
    reason: "bad-tool-name",
    detail: `${where} has the name ${excerpt(name)}, which no tool can have.`,
    fix: "Use 1 to 64 letters, digits, underscores, dots or hyphens.",
  })
}

/** The start of a value for an error's sentence; a name of a megabyte must not make a message of a megabyte. */
export function excerpt(value: unknown): string {
  if (typeof value !== "string") return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value
  return value.length <= 64
    ? JSON.stringify(value)
    : `${JSON.stringify(value.slice(0, 48))}… (${value.length} characters)`
}

function checkTurn(turn: Turn, where: string, seen: Set<string>): void {
  if (typeof turn !== "object" || turn === null) throw badTurn(`${where} is not an object.`, "Pass { role, content }.")
  if (!roles.includes(turn.role)) {
    throw new PromptError({
      reason: "unknown-role",
      detail: `${where} has the role ${excerpt(turn.role)}.`,
      fix: `Use one of ${roles.join(", ")}.`,
    })
  }
  if (turn.role === "ipython") {
    if (turn.content === undefined) throw badTurn(`${where} has no content.`, "Pass the tool's result as JSON.")
    return
  }
  if (typeof turn.content !== "string") {
    throw badTurn(
      `${where} (${turn.role}) has content that is ${excerpt(turn.content)}.`,
      "Pass the content as a string.",
    )
  }
  if (turn.role === "assistant") checkAssistantTurn(turn, where, seen)
}

function checkAssistantTurn(turn: AssistantTurn, where: string, seen: Set<string>): void {
  if (!Array.isArray(turn.toolCalls)) throw badTurn(`${where} has no list of tool calls.`, "Pass toolCalls: [].")
  for (const call of turn.toolCalls as readonly ToolCall[]) {
    checkToolName(call?.name, `A call in ${lowerFirst(where)}`)
    if (typeof call.input !== "object" || call.input === null || Array.isArray(call.input)) {
      throw badTurn(
        `${where} calls ${call.name} with input that is ${excerpt(call.input)}.`,
        "Pass the input as an object.",
      )
    }
    if (seen.has(call.id)) {
      throw new PromptError({
        reason: "duplicate-call-id",
        detail: `${where} has a call with the id ${excerpt(call.id)}, which an earlier call has already.`,
        fix: "Give every call of a conversation its own id.",
      })
    }
    seen.add(call.id)
  }
}

function badTurn(detail: string, fix: string): PromptError {
  return new PromptError({ reason: "bad-turn", detail, fix })
}

function lowerFirst(sentence: string): string {
  return sentence[0]!.toLowerCase() + sentence.slice(1)
}
