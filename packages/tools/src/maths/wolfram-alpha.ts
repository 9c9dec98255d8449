/**
 * The built-in tool `wolfram_alpha`: a question of mathematics in words or symbols in, the pods of its answer out, in the JSON
 * shape of the training data. Who answers is decided once, when the tool is made, and visible as `tool.provider`.
 */
import { defineTool, type Tool } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"
import type { MathsProvider, Pod } from "./maths-provider.ts"
import { type WolframOptions, wolfram } from "./wolfram.ts"

/** Who answers; the options of the API, or a provider. */
export interface WolframAlphaOptions extends WolframOptions {
  /** Answer with this instead, such as `localMaths()`. */
  readonly provider?: MathsProvider
}

/**
 * Without `provider` it is the Wolfram|Alpha API with `apiKey` or the environment variable WOLFRAM_ALPHA_API_KEY. Throws
 * ToolSetupError where there is no key, or both.
 */
export function wolframAlpha({ provider, ...web }: WolframAlphaOptions = {}): Tool<"wolfram_alpha"> {
  if (provider && web.apiKey !== undefined) {
    throw new ToolSetupError({
      reason: "ambiguous-provider",
      detail: "wolframAlpha was given apiKey and provider, and only one of them can answer.",
      fix: "Pass exactly one.",
    })
  }
  const answerer = provider ?? wolfram(web)
  return defineTool("wolfram_alpha", {
    description: "Answers questions of mathematics: equations, derivatives, integrals, units, number theory",
    builtin: true,
    readOnly: true,
    provider: answerer.name,
    timeoutMs: 30_000,
    ...(answerer.close && { close: answerer.close }),
    input: {
      type: "object",
      properties: { query: { type: "string", minLength: 1, maxLength: 400, description: "What to compute" } },
      required: ["query"],
      additionalProperties: false,
    },
    execute: async ({ query }, { signal }) => {
      const pods = await answerer.answer(query, signal)
      if (pods === null) return { queryresult: { success: false, inputstring: query } }
      return { queryresult: { success: true, inputstring: query, pods: pods.map(trainedShape) } }
    },
  })
}

const trainedShape = ({ title, lines, primary }: Pod) => ({
  title,
  ...(primary && { primary }),
  subpods: lines.map((plaintext) => ({ title: "", plaintext })),
})
