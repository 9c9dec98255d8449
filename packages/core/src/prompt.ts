/**
 * Turns in, prompt parts out: the layout that Llama 3.x was trained on. The head is written once, then one message per
 * turn; an append-only log takes only the parts of its new turns. Strings and token ids are nobody's business here.
 */
import { PromptError } from "./error.ts"
import { checkTurns } from "./prompt-check.ts"
import { headOf, type PromptHead, renderHead, renderHeader } from "./prompt-head.ts"
import type { PromptOptions } from "./prompt-options.ts"
import { mergeText, type PromptPart } from "./prompt-part.ts"
import { renderTurn, renderWritten } from "./prompt-turn.ts"
import type { Transcript } from "./transcript.ts"
import type { Turn } from "./turn.ts"

export interface GenerationPrompt {
  /** Ends the prompt with the header of an assistant turn, which the model then writes. */
  readonly addGenerationPrompt: boolean
}

/** How far a prompt has been written: the turns in it, and whether an assistant header stands open at its end. */
export interface PromptPosition {
  readonly turns: number
  readonly headerOpen: boolean
}

/** What to append to a prompt; or that it cannot be continued and has to be rendered from the start, and why. */
export type PromptContinuation =
  | { readonly kind: "append"; readonly parts: readonly PromptPart[]; readonly position: PromptPosition }
  | { readonly kind: "break"; readonly reason: string }

/** Before the first turn. */
export const promptStart: PromptPosition = { turns: 0, headerOpen: false }

/** The whole prompt. Throws PromptError for turns or tools that no prompt may hold. */
export function renderPrompt(turns: readonly Turn[], options: PromptOptions & GenerationPrompt): readonly PromptPart[] {
  return renderBehindHead(turns, headOf(options), options)
}

/** As `renderPrompt`, with the head's variables as a chat template has them: there, none and empty lists differ. */
export function renderBehindHead(
  turns: readonly Turn[],
  head: PromptHead,
  options: GenerationPrompt,
): readonly PromptPart[] {
  checkTurns(turns)
  if (turns.length === 0) {
    throw new PromptError({
      reason: "bad-turn",
      detail: "The transcript has no turns.",
      fix: "Give at least one turn.",
    })
  }
  const { parts, consumed } = renderHead(turns, head)
  return mergeText([
    ...parts,
    ...turns.slice(consumed).flatMap((turn) => renderTurn(turn, head.dialect)),
    ...(options.addGenerationPrompt ? renderHeader("assistant") : []),
  ])
}

/**
 * The parts that follow a prompt written up to `from`, at a cost that does not depend on what was said before; calls
 * are checked for equal ids among the new turns only. Appending their ids gives the ids of the whole prompt rendered at
 * once, since a border between old and new is always a special token or the model's own ids.
 */
export function continuePrompt(
  transcript: Pick<Transcript, "options" | "turns">,
  from: PromptPosition,
  options: GenerationPrompt,
): PromptContinuation {
  const { turns } = transcript
  if (from.turns > turns.length) return { kind: "break", reason: "turns were taken back" }
  const position = { turns: turns.length, headerOpen: options.addGenerationPrompt || from.headerOpen }
  if (from.turns === 0 && !from.headerOpen) {
    return { kind: "append", parts: renderPrompt(turns, { ...transcript.options, ...options }), position }
  }
  const fresh = turns.slice(from.turns)
  checkTurns(fresh, from.turns)
  if (fresh.length === 0) {
    const opens = options.addGenerationPrompt && !from.headerOpen
    return { kind: "append", parts: opens ? renderHeader("assistant") : [], position }
  }
  const parts: PromptPart[] = []
  if (from.headerOpen) {
    const answer = fresh.shift()
    if (answer?.role !== "assistant" || answer.tokens === undefined) {
      return { kind: "break", reason: "the turn behind the open assistant header has no token ids" }
    }
    parts.push(...renderWritten(answer))
  }
  for (const turn of fresh) parts.push(...renderTurn(turn, transcript.options.dialect))
  if (options.addGenerationPrompt) parts.push(...renderHeader("assistant"))
  return {
    kind: "append",
    parts: mergeText(parts),
    position: { turns: turns.length, headerOpen: options.addGenerationPrompt },
  }
}

/** The prompt as one string, for people to read: special tokens as their literals. Not to be tokenised. */
export function promptText(parts: readonly PromptPart[], decode?: (tokens: readonly number[]) => string): string {
  return parts
    .map((part) => ("special" in part ? part.special : "text" in part ? part.text : (decode?.(part.tokens) ?? "")))
    .join("")
}
