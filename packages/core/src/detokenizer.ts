/**
 * Token ids in, text out as soon as it is certain: bytes of an unfinished UTF-8 character wait for the next token.
 * The joined pieces are the same for any batching. Special tokens come out as nothing: what they mean is the parser's.
 */
import type { Tokenizer } from "./tokenizer.ts"

/** The text of one sequence of tokens, piece by piece. */
export interface Detokenizer {
  /** The text that this token completes; often the whole token, empty inside a character. */
  push(token: number): string
  /** What is left: U+FFFD for an unfinished character. The detokenizer is as new afterwards. */
  end(): string
}

/** A detokenizer at the beginning of a sequence. Its `push` throws TokenizerError `bad-token-id`. */
export function createDetokenizer(tokenizer: Pick<Tokenizer, "bytesOf" | "specialName">): Detokenizer {
  // Without ignoreBOM a leading U+FEFF would be swallowed.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  return {
    push: (token) =>
      tokenizer.specialName(token) === undefined ? decoder.decode(tokenizer.bytesOf(token), { stream: true }) : "",
    end: () => decoder.decode(),
  }
}
