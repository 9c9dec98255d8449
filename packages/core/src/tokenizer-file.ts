/**
 * Reads a parsed tokenizer.json of Hugging Face: checks its shape and refuses by name everything that would make ids
 * differ from Hugging Face's if it were ignored. What comes out is plain: splitters, vocabulary, merges, added tokens.
 * Not read: `post_processor` (the renderer writes begin-of-text itself), `decoder`, `truncation`, `padding`.
 */
import { TokenizerError } from "./error.ts"
import { gpt2Pattern, isolateMatches, keepMatches, type Splitter, translatePattern } from "./tokenizer-pattern.ts"

export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
  /** Matched after normalisation instead of before. */
  readonly normalized: boolean
}

export interface TokenizerFile {
  readonly normalization: "none" | "NFC"
  readonly splitters: readonly Splitter[]
  /** Tokens in the byte-level alphabet, with their ids. */
  readonly vocabulary: ReadonlyMap<string, number>
  /** Left and right token of each merge, in order of rank. */
  readonly merges: readonly (readonly [string, string])[]
  /** A piece that is a token is taken whole, whatever the merges say. */
  readonly ignoreMerges: boolean
  readonly added: readonly AddedToken[]
}

/** Ids above this are refused: tables are as long as the highest id. */
const MAX_ID = 1 << 24
/** A merge's rank and a position share one double in the merge queue: 2^22 · 2^31 = 2^53. */
const MAX_MERGES = 1 << 22

type Fields = Readonly<Record<string, unknown>>

/** Throws TokenizerError `malformed` or `unsupported`. */
export function readTokenizerFile(json: unknown): TokenizerFile {
  const file = fields(json, "the file")
  const model = fields(file.model, "model")
  checkModel(model)
  return {
    normalization: readNormalizer(file.normalizer),
    splitters: readPreTokenizer(file.pre_tokenizer),
    vocabulary: readVocabulary(model.vocab),
    merges: readMerges(model.merges),
    ignoreMerges: model.ignore_merges === true,
    added: readAddedTokens(file.added_tokens),
  }
}

function checkModel(model: Fields): void {
  // Files of early versions name no type; theirs is told by the merges.
  if (model.type !== "BPE" && !(model.type === undefined && Array.isArray(model.merges))) {
    throw unsupported(`the model type ${JSON.stringify(model.type)}`)
  }
  for (const option of ["byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"]) {
    if (model[option]) throw unsupported(`the option model.${option}`)
  }
  if (typeof model.dropout === "number" && model.dropout > 0) throw unsupported("the option model.dropout")
}

function readNormalizer(normalizer: unknown): "none" | "NFC" {
  if (normalizer === null || normalizer === undefined) return "none"
  const type = fields(normalizer, "normalizer").type
  if (type === "NFC") return "NFC"
  throw unsupported(`the normalizer ${JSON.stringify(type)}`)
}

function readPreTokenizer(json: unknown): readonly Splitter[] {
  const top = fields(json, "pre_tokenizer")
  const steps = top.type === "Sequence" ? list(top.pretokenizers, "pre_tokenizer.pretokenizers") : [top]
  const splitters: Splitter[] = []
  let byteLevel = false
  for (const step of steps.map((item) => fields(item, "a pre_tokenizer"))) {
    if (byteLevel) throw unsupported("a pre_tokenizer behind ByteLevel")
    if (step.type === "Split") splitters.push(readSplit(step))
    else if (step.type === "Digits") splitters.push(isolateMatches(step.individual_digits ? /\p{N}/gu : /\p{N}+/gu))
    else if (step.type === "ByteLevel") {
      if (step.add_prefix_space) throw unsupported("ByteLevel with add_prefix_space")
      if (step.use_regex !== false) splitters.push(isolateMatches(translatePattern(gpt2Pattern)))
      byteLevel = true
    } else throw unsupported(`the pre_tokenizer ${JSON.stringify(step.type)}`)
  }
  if (!byteLevel) throw unsupported("a pre_tokenizer without ByteLevel")
  return splitters
}

function readSplit(step: Fields): Splitter {
  const pattern = fields(step.pattern, "Split.pattern")
  const regex =
    typeof pattern.Regex === "string"
      ? translatePattern(pattern.Regex)
      : typeof pattern.String === "string" && pattern.String !== ""
        ? new RegExp(pattern.String.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu")
        : undefined
  if (regex === undefined) throw malformed("Split.pattern has neither a Regex nor a String")
  // Inverting changes nothing here: matches and gaps are pieces either way.
  if (step.behavior === "Isolated") return isolateMatches(regex)
  if (step.behavior === "Removed" && step.invert) return keepMatches(regex)
  throw unsupported(`Split with behavior ${JSON.stringify(step.behavior)}${step.invert ? " and invert" : ""}`)
}

function readVocabulary(json: unknown): ReadonlyMap<string, number> {
  const vocabulary = new Map<string, number>()
  const taken = new Set<number>()
  for (const [token, id] of Object.entries(fields(json, "model.vocab"))) {
    vocabulary.set(token, checkId(id, `model.vocab[${JSON.stringify(token.slice(0, 40))}]`))
    taken.add(id as number)
  }
  if (taken.size !== vocabulary.size) throw malformed("two entries of model.vocab have the same id")
  return vocabulary
}

/** Merges are `"left right"` strings, or pairs in newer files (a token there may hold a space). */
function readMerges(json: unknown): TokenizerFile["merges"] {
  const merges = list(json, "model.merges")
  if (merges.length > MAX_MERGES) throw unsupported(`more than ${MAX_MERGES} merges`)
  return merges.map((merge, rank) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge
    if (Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && typeof pair[1] === "string") {
      return pair as unknown as readonly [string, string]
    }
    throw malformed(`model.merges[${rank}] is not a pair of tokens`)
  })
}

function readAddedTokens(json: unknown): readonly AddedToken[] {
  if (json === undefined || json === null) return []
  return list(json, "added_tokens").map((item, index) => {
    const token = fields(item, `added_tokens[${index}]`)
    const id = checkId(token.id, `added_tokens[${index}].id`)
    if (typeof token.content !== "string" || token.content === "") {
      throw malformed(`added_tokens[${index}].content is not a text`)
    }
    const special = token.special === true
    for (const flag of ["single_word", "lstrip", "rstrip"]) {
      // Special tokens are never looked for in text, so how they would be found does not matter.
      if (!special && token[flag]) throw unsupported(`${flag} on the added token ${JSON.stringify(token.content)}`)
    }
    return { id, content: token.content, special, normalized: token.normalized !== false }
  })
}

function checkId(id: unknown, where: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < MAX_ID) return id
  throw malformed(`${where} is not an id from 0 to ${MAX_ID - 1}`)
}

function fields(json: unknown, where: string): Fields {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Fields
  throw malformed(`${where} is not an object`)
}

function list(json: unknown, where: string): readonly unknown[] {
  if (Array.isArray(json)) return json
  throw malformed(`${where} is not a list`)
}

export function malformed(what: string): TokenizerError {
  return new TokenizerError({
    reason: "malformed",
    detail: `The tokenizer file cannot be read: ${what}.`,
    fix: "Use the tokenizer.json that came with the checkpoint, unchanged.",
  })
}

export function unsupported(what: string): TokenizerError {
  return new TokenizerError({
    reason: "unsupported",
    detail: `The tokenizer file has ${what}, which is not supported.`,
    fix: "Use a byte-level BPE tokenizer, such as those of Llama 3, GPT-2 or Qwen2.",
  })
}
