import { readFileSync } from "node:fs"
import fc from "fast-check"
import { expect, it } from "vitest"
import { renderPrompt } from "../src/prompt.ts"
import type { PromptOptions } from "../src/prompt-options.ts"
import type { Dialect, PromptPart } from "../src/prompt-part.ts"
import { type RenderedPrompt, renderRequest } from "../src/render.ts"
import { openTemplate } from "../src/template.ts"
import { loadTokenizer } from "../src/tokenizer.ts"
import type { CallSyntax, JsonObject, Turn } from "../src/turn.ts"

const tokenizer = loadTokenizer(
  JSON.parse(readFileSync(new URL("../../tiny-llama/checkpoint/tokenizer.json", import.meta.url), "utf8")),
)
const tinyTemplate: string = JSON.parse(
  readFileSync(new URL("../../tiny-llama/checkpoint/tokenizer_config.json", import.meta.url), "utf8"),
).chat_template
const specials = [...tokenizer.specialTokens.keys()]
const specialIds = new Set(tokenizer.specialTokens.values())
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(...specials),
      fc.string({ unit: "binary", maxLength: 4 }),
      fc.constantFrom("<|", "|>", "\n\n", "eot_id", "\ud800", "\0"),
    ),
    {
      maxLength: 6,
    },
  )
  .map((pieces) => pieces.join(""))
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(text, tie("json"), { maxKeys: 3 }),
  ),
}))
const object = fc.dictionary(text, json, { maxKeys: 3 }) as fc.Arbitrary<JsonObject>
const name = fc.stringMatching(/^[\w.-]{1,64}$/)
const syntax = fc.constantFrom<CallSyntax>("builtin-call", "json-call", "function-tag", "pythonic-call", "python-code")

interface Conversation {
  readonly turns: readonly Turn[]
  readonly options: PromptOptions
  /** How many special tokens the layout itself has. */
  readonly layout: (tagged: number) => number
}

const conversation = fc
  .record({
    system: text,
    question: text,
    content: text,
    calls: fc.uniqueArray(fc.record({ id: fc.uuid(), name, input: object, syntax }), {
      selector: (call) => call.id,
      maxLength: 2,
    }),
    result: json,
    tools: fc.array(fc.record({ name, description: text, parameters: object }), { maxLength: 2 }),
    builtinTools: fc.option(fc.subarray(["brave_search", "code_interpreter"]), { nil: null }),
    toolsInUserMessage: fc.boolean(),
    date: text,
    dialect: fc.constantFrom<Dialect>("hf", "hf-3.2", "meta"),
  })
  .map(({ system, question, content, calls, result, ...options }): Conversation => {
    const turns: Turn[] = [
      { role: "system", content: system },
      { role: "user", content: question },
      { role: "assistant", content, toolCalls: calls, end: "eom" },
      { role: "ipython", content: result as never },
    ]
    const pythonic = calls.length > 0 && calls.every((call) => call.syntax === "pythonic-call")
    const answers = options.dialect === "meta" || pythonic ? 1 : Math.max(1, calls.length)
    return { turns, options, layout: (tagged) => 1 + 3 * (3 + answers) + 2 + tagged }
  })

it("lets no text in any field become a special token, in any dialect and syntax", () => {
  fc.assert(
    fc.property(conversation, ({ turns, options, layout }) => {
      const parts = renderPrompt(turns, { ...options, addGenerationPrompt: true })
      const tagged = parts.filter((part) => "special" in part && part.special === "<|python_tag|>").length
      const ids = [...tokenizer.encode(parts)].filter((id) => specialIds.has(id))
      expect(tagged).toBeLessThanOrEqual(2)
      expect(ids).toHaveLength(layout(tagged))
      for (const part of parts) if ("text" in part) expectNoSpecial(part)
    }),
    { seed: 20240723, numRuns: 400 },
  )
})

it("keeps every ordinary text as it is: what the ids decode to holds each field", () => {
  fc.assert(
    fc.property(text, (content) => {
      const options = {
        tools: [],
        builtinTools: null,
        toolsInUserMessage: true,
        date: "d",
        dialect: "meta",
        addGenerationPrompt: false,
      } as const
      const ids = tokenizer.encode(renderPrompt([{ role: "user", content }], options))
      const header = "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
      expect(tokenizer.decode(ids)).toBe(`${header}${content.toWellFormed()}<|eot_id|>`)
    }),
    { seed: 7, numRuns: 300 },
  )
})

it("gives the same prompt and the same ids through a template of the same layout", async () => {
  const template = openTemplate(tinyTemplate, { specialTokens: specials, timeoutMs: 10_000 })
  const call = fc
    .record({ name: fc.constantFrom("f", "g.h"), arguments: object })
    .map((made) => ({ role: "assistant", content: "", tool_calls: [{ function: made }] }))
  const search = fc.record({ query: text }).map((query) => ({
    role: "assistant",
    content: "",
    tool_calls: [{ function: { name: "brave_search", arguments: query } }],
  }))
  const said = (role: string) => text.map((content) => ({ role, content }))
  const message = fc.oneof(
    said("user"),
    said("assistant"),
    json.map((content) => ({ role: "ipython", content })),
    call,
    search,
  )
  const request = fc.record(
    {
      messages: fc
        .tuple(fc.array(said("system"), { maxLength: 1 }), said("user"), fc.array(message, { maxLength: 5 }))
        .map(([system, user, rest]) => [...system, user, ...rest]),
      tools: fc.array(object, { maxLength: 2 }).map((tools) => tools.map(({ name: _, function: __, ...tool }) => tool)),
      builtin_tools: fc.subarray(["brave_search", "code_interpreter"]),
      tools_in_user_message: fc.boolean(),
      date_string: text,
      add_generation_prompt: fc.boolean(),
    },
    { requiredKeys: ["messages"] },
  )
  await fc.assert(
    fc.asyncProperty(request, async (variables) => {
      const { renderer, ...through } = (await renderRequest(variables, { tokenizer, template })) as RenderedPrompt
      expect(renderer).toBe("template")
      expect(through).toEqual(await renderRequest(variables, { tokenizer }))
    }),
    { seed: 5, numRuns: 300 },
  )
  expect(await renderRequest(null, { template })).toMatchObject({ error: { code: "bad-request" } })
  await template.close()
})

it("answers any JSON with a prompt or a typed failure", async () => {
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.record({
      messages: fc.oneof(
        fc.array(
          fc.record({
            role: fc.oneof(text, fc.constantFrom("user", "tool", "assistant")),
            content: json,
            tool_calls: fc.option(json),
          }),
        ),
        json,
      ),
      tools: fc.option(json),
      builtin_tools: fc.option(json),
      date_string: fc.option(json),
      dialect: fc.option(fc.constantFrom("hf", "meta", "x", null)),
    }),
  )
  await fc.assert(
    fc.asyncProperty(anything, async (request) => {
      const answer = await renderRequest(request, { tokenizer })
      expect("prompt" in answer || answer.error.message.length < 2000).toBe(true)
    }),
    { seed: 11, numRuns: 400 },
  )
})

function expectNoSpecial(part: PromptPart & { readonly text: string }): void {
  expect([...tokenizer.encodeText(part.text)].filter((id) => specialIds.has(id))).toEqual([])
}
