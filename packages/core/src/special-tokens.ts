/**
 * The special tokens of the Llama 3.x format, by name. A checkpoint's tokenizer gives them their ids:
 * Llama 3.1 and the tiny model have different ones. Nothing in this package knows a number.
 */

/** Source: the special-token table of Meta's Llama 3 tokenizer; names as in Hugging Face's tokenizer.json. */
export const specialTokens = {
  beginOfText: "<|begin_of_text|>",
  endOfText: "<|end_of_text|>",
  startHeader: "<|start_header_id|>",
  endHeader: "<|end_header_id|>",
  eom: "<|eom_id|>",
  eot: "<|eot_id|>",
  pythonTag: "<|python_tag|>",
} as const

/** The literal of a special token as it stands in the tokenizer file, such as `<|eot_id|>`. */
export type SpecialToken = string

/** Tokens that end a generation, with the end that each gives to the turn. */
export const stopTokens: ReadonlyMap<SpecialToken, "eot" | "eom" | "eos"> = new Map([
  [specialTokens.eot, "eot"],
  [specialTokens.eom, "eom"],
  [specialTokens.endOfText, "eos"],
])

/** What a model may sample besides text: with these it can end a turn and open a call, and cannot write a header. */
export const sampledSpecialTokens: readonly SpecialToken[] = [
  specialTokens.eot,
  specialTokens.eom,
  specialTokens.endOfText,
  specialTokens.pythonTag,
]
