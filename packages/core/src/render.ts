/**
 * What stands behind `chasqui render` and `chasqui tokenize`: one JSON value in, one JSON value out, never a throw for bad
 * input. For people who look at prompts and for batch tools; an agent has no need of it.
 */
import { PromptError, TemplateError, TokenizerError } from "./error.ts"
import { promptText, renderBehindHead } from "./prompt.ts"
import { importPrompt } from "./prompt-messages.ts"
import type { PromptPart } from "./prompt-part.ts"
import type { ChatTemplate } from "./template.ts"
import type { Tokenizer } from "./tokenizer.ts"

/** What a request is rendered with. */
export interface RenderRequestOptions {
  /** Adds the ids. */
  readonly tokenizer?: Tokenizer
  /** Renders through this template instead of the built-in layouts. */
  readonly template?: ChatTemplate
  /** Today's date, such as `24 Nov 2026`, for the 3.2 layout without a `date_string`. */
  readonly today?: string
}

/** The prompt as text, special tokens by their literals. */
export interface RenderedPrompt {
  readonly prompt: string
  readonly ids?: readonly number[]
  /** What wrote the prompt; absent for the built-in layouts. */
  readonly renderer?: "template"
}

export interface RequestFailure {
  readonly error: { readonly code: string; readonly message: string }
}

/** Reads a request in the names of `apply_chat_template`; see docs/prompt-format.md, "chasqui render". */
export async function renderRequest(
  request: unknown,
  { tokenizer, template, today }: RenderRequestOptions = {},
): Promise<RenderedPrompt | RequestFailure> {
  return orFailure(async () => {
    const parts = template
      ? (await template.render(request as Readonly<Record<string, unknown>>)).parts
      : renderImported(request, today)
    return {
      prompt: promptText(parts),
      ...(tokenizer && { ids: [...tokenizer.encode(parts)] }),
      ...(template && { renderer: "template" as const }),
    }
  })
}

function renderImported(request: unknown, today: string | undefined): readonly PromptPart[] {
  const { turns, head, addGenerationPrompt } = importPrompt(request, today)
  return renderBehindHead(turns, head, { addGenerationPrompt })
}

export interface TokenizedText {
  readonly ids: readonly number[]
  /** The text of each token; bytes that are no UTF-8 of their own as U+FFFD. */
  readonly tokens: readonly string[]
  readonly text: string
}

/**
 * `{ text }` is encoded with special tokens off, `{ parts }` as a prompt (`{ special }` and `{ text }` in a list), and
 * `{ ids }` is decoded.
 */
export function tokenizeRequest(request: unknown, tokenizer: Tokenizer): Promise<TokenizedText | RequestFailure> {
  return orFailure(async () => {
    const ids = [...idsOf(request, tokenizer)]
    return { ids, tokens: ids.map((id) => tokenizer.decode([id])), text: tokenizer.decode(ids) }
  })
}

function idsOf(request: unknown, tokenizer: Tokenizer): Iterable<number> {
  const { text, parts, ids } = (request ?? {}) as Readonly<Record<string, unknown>>
  if (typeof text === "string") return tokenizer.encodeText(text)
  if (Array.isArray(parts) && parts.every(isPart)) return tokenizer.encode(parts)
  if (Array.isArray(ids) && ids.every((id) => typeof id === "number")) return tokenizer.encode([{ tokens: ids }])
  throw new PromptError({
    reason: "bad-request",
    detail: "The request has no text, no parts and no ids.",
    fix: 'Pass {"text": "…"}, {"parts": [{"special": "…"}, {"text": "…"}]} or {"ids": [1, 2]}.',
  })
}

function isPart(part: unknown): part is PromptPart {
  const { text, special } = (part ?? {}) as Readonly<Record<string, unknown>>
  return typeof text === "string" || typeof special === "string"
}

async function orFailure<Value>(act: () => Promise<Value>): Promise<Value | RequestFailure> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof PromptError || error instanceof TokenizerError || error instanceof TemplateError) {
      return { error: { code: error.reason, message: error.message } }
    }
    throw error
  }
}
