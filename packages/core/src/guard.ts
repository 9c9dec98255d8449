/**
 * Llama Guard 3: asks a safety model whether the last message of a conversation may stand. Turns in, a verdict out.
 * Its prompt is not the chat layout (no line feeds behind the last header), so it goes through `complete`. Whatever the
 * model answers that is not plainly "safe" forbids.
 *
 * Covered: special tokens in the judged text stay text. Not covered: a text that forges `<END CONVERSATION>`, which is plain
 * text to the model that reads it.
 */
import { PromptError } from "./error.ts"
import { renderHeader } from "./prompt-head.ts"
import { pythonStrip } from "./prompt-json.ts"
import { mergeText, type PromptPart } from "./prompt-part.ts"
import { specialTokens } from "./special-tokens.ts"
import type { Turn } from "./turn.ts"

/** Whether a turn may stand. */
export type Verdict =
  | { readonly allowed: true }
  | {
      readonly allowed: false
      /** The categories that were named, such as `S1`; empty where none could be read. */
      readonly categories: readonly string[]
      /** For people: the names of the categories, or why there is no verdict. */
      readonly reason: string
    }

/** Judges turns, beside the run. */
export interface Guard {
  /** Judges the last turn; fails closed. Rejects only when aborted or when the model itself fails. */
  check(turns: readonly Turn[], signal?: AbortSignal): Promise<Verdict>
}

/** The part of a model that a guard needs: text that follows a raw prompt. */
export interface CompletingModel {
  complete(
    prompt: readonly PromptPart[],
    options: {
      readonly maxTokens: number
      readonly sampling: { readonly temperature: number }
      readonly signal?: AbortSignal
    },
  ): Promise<{ readonly text: string }>
}

/** What a Llama Guard judges by. */
export interface LlamaGuardOptions {
  /** What is judged; default: all fourteen of the 8B model. The 1B and 11B models do not know S14. */
  readonly categories?: Readonly<Record<string, string>>
}

/** Source: the chat template of Llama Guard 3 8B. */
export const guardCategories: Readonly<Record<string, string>> = {
  S1: "Violent Crimes",
  S2: "Non-Violent Crimes",
  S3: "Sex Crimes",
  S4: "Child Exploitation",
  S5: "Defamation",
  S6: "Specialized Advice",
  S7: "Privacy",
  S8: "Intellectual Property",
  S9: "Indiscriminate Weapons",
  S10: "Hate",
  S11: "Self-Harm",
  S12: "Sexual Content",
  S13: "Elections",
  S14: "Code Interpreter Abuse",
}

/** The longest answer: "unsafe" and every category. */
const ANSWER_TOKENS = 64

/** A guard that asks a Llama Guard 3 model, greedily. */
export function llamaGuard(model: CompletingModel, options: LlamaGuardOptions = {}): Guard {
  const categories = options.categories ?? guardCategories
  return {
    async check(turns, signal) {
      const prompt = guardPrompt(turns, categories)
      const sampling = { temperature: 0 }
      const answer = await model.complete(prompt, { maxTokens: ANSWER_TOKENS, sampling, ...(signal && { signal }) })
      return readVerdict(answer.text, categories)
    },
  }
}

/**
 * The raw prompt that asks about the last message. Users and agents must take turns; a system turn is no message, results of
 * tools are what the user's side said, and an assistant's neighbouring turns are one. Throws PromptError `bad-turn`.
 */
export function guardPrompt(
  turns: readonly Turn[],
  categories: Readonly<Record<string, string>> = guardCategories,
): readonly PromptPart[] {
  const messages = conversationOf(turns)
  const judged = messages.at(-1)?.speaker
  if (judged === undefined || messages[0]?.speaker !== "User") {
    throw new PromptError({
      reason: "bad-turn",
      detail: `Llama Guard judges conversations that a user begins, and this one has ${judged ? "an assistant turn first" : "no message"}.`,
      fix: "Pass the turns from the first user turn on.",
    })
  }
  const listed = Object.entries(categories).map(([code, name]) => `${code}: ${name}.`)
  const spoken = messages.map(({ speaker, text }) => `${speaker}: ${text}\n\n`)
  const [header, role, headerEnd] = renderHeader("assistant")
  return mergeText([
    { special: specialTokens.beginOfText },
    ...renderHeader("user"),
    {
      text:
        // "according our" is how the model was trained.
        `Task: Check if there is unsafe content in '${judged}' messages in conversations according our safety policy ` +
        "with the below categories.\n\n" +
        `<BEGIN UNSAFE CONTENT CATEGORIES>\n${listed.join("\n")}\n<END UNSAFE CONTENT CATEGORIES>\n\n` +
        `<BEGIN CONVERSATION>\n\n${spoken.join("")}<END CONVERSATION>\n\n` +
        `Provide your safety assessment for ONLY THE LAST ${judged} message in the above conversation:\n` +
        " - First line must read 'safe' or 'unsafe'.\n" +
        " - If unsafe, a second line must include a comma-separated list of violated categories. ",
    },
    { special: specialTokens.eot },
    // The model writes the two line feeds behind this header itself.
    header!,
    role!,
    headerEnd!,
  ])
}

/**
 * Reads `safe`, or `unsafe` and its categories on the next line: any case, any white space, any order. Everything else forbids.
 */
export function readVerdict(answer: string, categories: Readonly<Record<string, string>> = guardCategories): Verdict {
  const [first = "", ...rest] = answer.trim().split(/\s*[\r\n]+\s*/)
  const word = first.toLowerCase().replace(/[.!"'`*]+/g, "")
  if (word === "safe" && rest.length === 0) return { allowed: true }
  const codes = [...new Set(answer.toUpperCase().match(/\bS\d{1,2}\b/g) ?? [])]
  if (!word.startsWith("unsafe")) {
    return {
      allowed: false,
      categories: codes,
      reason: `The guard gave no verdict: ${JSON.stringify(answer.slice(0, 80))}.`,
    }
  }
  const names = codes.map((code) => categories[code] ?? `unknown category ${code}`)
  return {
    allowed: false,
    categories: codes,
    reason: names.length > 0 ? `${names.join(", ")}.` : "No category was named.",
  }
}

interface Message {
  readonly speaker: "User" | "Agent"
  readonly text: string
}

function conversationOf(turns: readonly Turn[]): readonly Message[] {
  const messages: Message[] = []
  for (const turn of turns) {
    if (turn.role === "system") continue
    const speaker = turn.role === "assistant" ? "Agent" : "User"
    const text = textOf(turn)
    const last = messages.at(-1)
    if (last?.speaker === speaker) messages[messages.length - 1] = { speaker, text: `${last.text}\n\n${text}` }
    else messages.push({ speaker, text })
  }
  return messages
}

/** What a turn says, calls included: an agent's code is judged like its prose. */
function textOf(turn: Exclude<Turn, { role: "system" }>): string {
  if (turn.role === "ipython") {
    return pythonStrip(typeof turn.content === "string" ? turn.content : JSON.stringify(turn.content))
  }
  if (turn.role === "user") return pythonStrip(turn.content)
  const calls = turn.toolCalls.map((call) => JSON.stringify({ name: call.name, parameters: call.input }))
  return [pythonStrip(turn.content), ...calls].filter((text) => text !== "").join("\n")
}
