/**
 * A handoff gives the conversation to another agent: the model calls a tool, and from the next step on the other's system text,
 * tools and model go on with the same turns. To the model that takes over it is its own conversation.
 */
import type { Model } from "./model.ts"
import type { PromptOptions } from "./prompt-options.ts"
import type { Tool } from "./tool.ts"
import { Transcript } from "./transcript.ts"

/** Who goes on after a handoff. */
export interface HandoffTarget {
  readonly name: string
  readonly model?: Model
  readonly tools: ReadonlyMap<string, Tool>
  readonly options: PromptOptions
  readonly system: string | undefined
}

/** The same conversation under the target's head: a declared break of the prefix. */
export function handedOver(transcript: Transcript, { name, options, system }: HandoffTarget): Transcript {
  const turns = transcript.turns.filter(({ role }) => role !== "system")
  const head = system === undefined ? [] : [{ role: "system", content: system } as const]
  return new Transcript(transcript.id, options, [...head, ...turns], { calls: transcript.calls, agent: name })
}
