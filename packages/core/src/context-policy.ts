/**
 * What to do when a conversation grows towards the end of the context. A policy gives a shorter list of turns; the next prompt
 * then starts anew, so a policy acts rarely and frees much. What it costs in cache is reported with the event.
 */
import type { Usage } from "./event.ts"
import type { Model } from "./model.ts"
import { Transcript } from "./transcript.ts"
import type { Turn } from "./turn.ts"

/** A way to shorten a conversation, such as `dropToolResults()` or `summarise()`. */
export interface ContextPolicy {
  readonly name: string
  /** Acts once prompt and answer fill this fraction of the context; default of the policies here: 0.8. */
  readonly atFraction: number
  /** The shorter turns; undefined where nothing can be dropped. */
  readonly shorten: (transcript: Transcript, means: PolicyMeans) => Promise<readonly Turn[] | undefined>
}

/** What a policy may use. */
export interface PolicyMeans {
  readonly model: Model
  readonly signal: AbortSignal
  /** Counts what it spends on a model in the run's usage. */
  readonly spend: (usage: Usage) => void
}

/** Replaces the contents of old tool results by a short note, newest `keepLast` (default 4) untouched. */
export function dropToolResults(
  options: { readonly keepLast?: number; readonly atFraction?: number } = {},
): ContextPolicy {
  const { keepLast = 4, atFraction = 0.8 } = options
  return {
    name: "drop-tool-results",
    atFraction,
    async shorten({ turns }) {
      const results = turns.flatMap((turn, index) => (turn.role === "ipython" ? [index] : []))
      const dropped = new Set(results.slice(0, Math.max(0, results.length - keepLast)))
      const isNew = [...dropped].some((index) => turns[index]?.content !== droppedNote)
      if (!isNew) return undefined
      return turns.map((turn, index) => (dropped.has(index) ? ({ ...turn, content: droppedNote } as Turn) : turn))
    },
  }
}

const droppedNote = "(dropped: this result was read before)"

/**
 * Lets the model sum up everything but the last `keepTurns` turns (default 6), and puts the summary in their place. The cut
 * is moved so that a call and its results stay together.
 */
export function summarise(
  options: { readonly keepTurns?: number; readonly maxTokens?: number; readonly atFraction?: number } = {},
): ContextPolicy {
  const { keepTurns = 6, maxTokens = 512, atFraction = 0.8 } = options
  return {
    name: "summarise",
    atFraction,
    async shorten(transcript, { model, signal, spend }) {
      const { turns } = transcript
      const system = turns[0]?.role === "system" ? turns.slice(0, 1) : []
      let cut = Math.max(system.length, turns.length - keepTurns)
      while (cut > system.length && turns[cut]?.role !== "user") cut--
      const old = turns.slice(system.length, cut)
      if (old.length === 0) return undefined
      const asking = new Transcript(
        `${transcript.id}.summary`,
        { ...transcript.options, tools: [], builtinTools: null },
        [
          ...old.map((turn) => (turn.role === "assistant" ? withoutTokens(turn) : turn)),
          {
            role: "user",
            content: "Sum up this conversation so far: facts found, decisions taken, what is still to do.",
          },
        ],
      )
      const generation = model.generate(asking, { maxTokens, firstCall: 0, signal })
      for await (const _ of generation);
      const { turn, usage, reason } = await generation.end
      spend(usage)
      if (reason === "aborted") return undefined
      const summary = turn.content
      const note: Turn = { role: "user", content: `Summary of the conversation so far:\n${summary}` }
      return [...system, note, ...turns.slice(cut)]
    },
  }
}

function withoutTokens<T extends Turn>(turn: T): T {
  const { tokens: _, ...fields } = turn as T & { tokens?: unknown }
  return fields as T
}
