/**
 * The pieces of a prompt: special tokens by name, ordinary text, and the ids of turns that the model wrote itself.
 * Only the renderer makes special parts; a text part stays text, whatever it says, until the tokenizer encodes it with
 * special-token matching off. No ids of special tokens are known here.
 */
import type { SpecialToken } from "./special-tokens.ts"

/** One piece of a prompt. */
export type PromptPart =
  | { readonly special: SpecialToken }
  | { readonly text: string }
  /** Ids of an assistant turn exactly as the model wrote them. */
  | { readonly tokens: readonly number[] }

/** Whose layout is written: Hugging Face's template of 3.1 and 3.3, its template of 3.2, or Meta's reference encoder. */
export type Dialect = "hf" | "hf-3.2" | "meta"

/**
 * Joins neighbouring text parts and drops empty ones. Text is encoded per run between special tokens, so two texts that
 * stand side by side must be one part: the ids differ otherwise (`"\n\n" + "\n"` is one token in Llama 3.1, not two).
 */
export function mergeText(parts: Iterable<PromptPart>): readonly PromptPart[] {
  const merged: PromptPart[] = []
  let text = ""
  for (const part of parts) {
    if ("text" in part) {
      text += part.text
      continue
    }
    if (text !== "") merged.push({ text })
    text = ""
    merged.push(part)
  }
  if (text !== "") merged.push({ text })
  return merged
}
