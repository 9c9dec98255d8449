// The order of the data flow. A package imports only packages to its left, a file of core only files to its left.
// `syntax/` counts as one place: its files do not import each other, except through `syntax/literal-*` readers.
export const packages = ["tiny-llama", "core", "tools", "engine-cuda", "engine-remote", "chasqui", "examples", "bench"]

export const forbiddenPairs = [
  ["tools", "tiny-llama"],
  ["engine-cuda", "tools"],
  ["engine-remote", "tools"],
  ["engine-remote", "engine-cuda"],
  ["core", "tiny-llama"],
]

export const coreFiles = [
  "turn",
  "error",
  "event",
  "tool-problem",
  "tool-schema",
  "tool-input",
  "tool",
  "special-tokens",
  "prompt-part",
  "prompt-json",
  "prompt-options",
  "transcript",
  "syntax/",
  "prompt",
  "template",
  "tokenizer",
  "detokenizer",
  "render",
  "engine",
  "parser",
  "model",
  "llama-model",
  "guard",
  "approval",
  "tool-call",
  "step",
  "run",
  "store",
  "session",
  "trace",
  "run-stream",
  "agent",
  "testing",
  "effect",
  "index",
]
