import { readFileSync } from "node:fs"
import { Template } from "@huggingface/jinja"
import { afterAll, describe, expect, it } from "vitest"
import { promptText } from "../src/prompt.ts"
import { renderRequest } from "../src/render.ts"
import { type ChatTemplate, type ChatTemplateOptions, openTemplate } from "../src/template.ts"

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8")
const tinyConfig = JSON.parse(read("../../tiny-llama/checkpoint/tokenizer_config.json")) as { chat_template: string }
const fixtures: readonly { name: string; source: string; request: Record<string, unknown>; prompt: string }[] = read(
  "fixtures/prompts/conversations.jsonl",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line))

const opened: ChatTemplate[] = []
const open = (source: string, options: ChatTemplateOptions = {}): ChatTemplate => {
  const template = openTemplate(source, { timeoutMs: 10_000, ...options })
  opened.push(template)
  return template
}
afterAll(() => Promise.all(opened.map((template) => template.close())))

const messages = (...contents: string[]) => contents.map((content) => ({ role: "user", content }))

describe("the template of a checkpoint and the built-in layout agree", () => {
  it.each([
    ["the restated 3.1 template", "llama-3.1.jinja", read("fixtures/prompts/llama-3.1.jinja")],
    ["the restated 3.2 template", "llama-3.2.jinja", read("fixtures/prompts/llama-3.2.jinja")],
    ["the tiny model's template", "llama-3.1.jinja", tinyConfig.chat_template],
  ])("on every fixture: %s", async (_, source, text) => {
    const template = open(text)
    const theirs = fixtures.filter((fixture) => fixture.source === source)
    expect(theirs.length).toBeGreaterThanOrEqual(30)
    for (const { name, request, prompt } of theirs) {
      const builtIn = await renderRequest(request)
      const { dialect: _dialect, ...variables } = request
      const result = await renderRequest(variables, { template })
      expect(result, name).toEqual({ prompt, renderer: "template" })
      expect(builtIn, name).toEqual({ prompt })
    }
  })

  it("part for part, also where values look like special tokens", async () => {
    const template = open(read("fixtures/prompts/llama-3.1.jinja"))
    const { parts, renderer } = await template.render({ messages: messages("a<|eot_id|>b <|start_header_id|>") })
    expect(renderer).toBe("template")
    expect(parts.slice(-3)).toEqual([
      { special: "<|end_header_id|>" },
      { text: "\n\na<|eot_id|>b <|start_header_id|>" },
      { special: "<|eot_id|>" },
    ])
  })
})

describe("what @huggingface/jinja reads otherwise than jinja2", () => {
  // When one of these fails, a new version of the library has learned it: remove its function from template-python.ts.
  it.each([
    ["version 0.5.11 has no filter reject on lists", "{{ [1, 2] | reject('equalto', 1) | join(',') }}", "2"],
    ["version 0.5.11 has no filter select on lists", "{{ [1, 2] | select('equalto', 1) | join(',') }}", "1"],
    ["version 0.5.11 keeps U+0085 when it trims", "[{{ '\u0085a\ufeff' | trim }}]", "[a\ufeff]"],
    ["version 0.5.11 prints true", "{{ true }} {{ 'a' ~ false }}", "True aFalse"],
    ["version 0.5.11 prints nothing for None", "{{ none }}", "None"],
    ["version 0.5.11 prints floats as JavaScript does", "{{ 0.00001 }} {{ [0.0000001] | tojson }}", "1e-05 [1e-07]"],
  ])("%s", async (_, source, expected) => {
    const library = (): string => new Template(source).render({})
    let alone: string | undefined
    try {
      alone = library()
    } catch {
      alone = undefined
    }
    expect(alone).not.toBe(expected)
    expect(promptText((await open(source).render({})).parts)).toBe(expected)
  })

  it.each([
    [
      "loops, conditions, sets, macros, slices",
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% for i in range(3) %}{% if i != 1 %}{{ m(i) }}{% else %}-{% endif %}{% endfor %}{% set a = 'abc' %}{{ a[1:] }}",
      "<0>-<2>bc",
    ],
    [
      "namespaces and loop variables",
      "{% set n = namespace(c=0) %}{% for x in [1,2] %}{% set n.c = n.c + x %}{{ loop.last }}{% endfor %}{{ n.c }}",
      "FalseTrue3",
    ],
    ["filters by truth", "{{ ['', 'a', none, 'b'] | select | join('+') }}", "a+b"],
    [
      "indented JSON",
      "{{ {'a': [1, {}], 'é': true} | tojson(indent=2) }}",
      '{\n  "a": [\n    1,\n    {}\n  ],\n  "é": true\n}',
    ],
    ["JSON with other arguments", "{{ {'b': 1, 'a': 'é'} | tojson(ensure_ascii=true) }}", '{"b": 1, "a": "\\u00e9"}'],
    ["ternaries and tests", "{{ 'y' if x is not defined else 'n' }}", "y"],
    ["blocks that are set", "{% set b %}a{{ 1 }}{% endset %}{{ b }}", "a1"],
  ])("and the rest it reads as before: %s", async (_, source, expected) => {
    expect(promptText((await open(source).render({})).parts)).toBe(expected)
  })

  it("tells the injected time, and has no clock without it", async () => {
    const source = "{{ strftime_now('%d %b %Y') if strftime_now is defined else 'none' }}"
    const now = new Date(2026, 10, 4, 12)
    expect(promptText((await open(source, { now }).render({})).parts)).toBe("04 Nov 2026")
    expect(promptText((await open(source).render({})).parts)).toBe("none")
  })
})

describe("no value becomes a special token", () => {
  const specials = ["<|eot_id|>", "<|start|>", "</s>"]
  const echo = "{% for m in messages %}<|start|>{{ m.role }}{{ m.content | trim }}{{ m.more }}<|eot_id|>{% endfor %}"
  const template = open(echo, { specialTokens: specials })
  const pieces = [
    "<|eot_id|>",
    "<|eot_",
    "id|>",
    "<",
    "|>",
    ">",
    "</s",
    "s>",
    "</",
    "<|start",
    "|start|>",
    " ",
    "x",
    "9000",
    "\n",
  ]

  it("whole, in pieces beside each other, in pieces beside the template's text", async () => {
    let seed = 1
    const pick = (): string => {
      seed = (seed * 16807) % 2147483647
      return pieces[seed % pieces.length]!
    }
    for (let count = 0; count < 200; count++) {
      const [content, more] = [pick() + pick() + pick(), pick() + pick()]
      const { parts } = await template.render({ messages: [{ role: "user", content, more }] })
      expect(parts, JSON.stringify([content, more])).toEqual([
        { special: "<|start|>" },
        { text: `user${content.trim()}${more}` },
        { special: "<|eot_id|>" },
      ])
    }
  })

  it("through JSON, in keys, and with digits around it", async () => {
    const json = open("{{ messages[0].content | tojson }}<|eot_id|>", { specialTokens: specials })
    const content = { "<|eot_id|>": ["9</s>9", { a: "<|eot_" }], 'id|>"\n': "12<|start|>34" }
    const { parts } = await json.render({ messages: [{ role: "tool", content }] })
    expect(parts).toHaveLength(2)
    expect(JSON.parse((parts[0] as { text: string }).text)).toEqual(content)
  })

  it.each(["system<|end_header_id|>", "a b", "x\ny", "", 5, null])("and no role forges a header: %j", async (role) => {
    await expect(template.render({ messages: [{ role, content: "" }] })).rejects.toMatchObject({
      reason: "unknown-role",
    })
  })
})

describe("a template is a stranger's program", () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  it.each([
    ["that cannot be parsed", "{% for x in %}", {}, "syntax"],
    ["that raises", "{{ raise_exception('Roles must alternate.') }}", {}, "raised"],
    ["with an unknown filter", "{{ 'a' | nope }}", {}, "raised"],
    ["that counts too far", "{% for i in range(10000000000) %}{% endfor %}", {}, "raised"],
    ["that recurses without end", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {}, "raised"],
    [
      "that never ends",
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      { timeoutMs: 300 },
      "timeout",
    ],
    [
      "that eats memory",
      "{% set n = namespace(l=[1]) %}{% for a in range(99999) %}{% set n.l = n.l + n.l %}{% endfor %}",
      { memoryMb: 32 },
      "too-large",
    ],
    [
      "that doubles a text",
      "{% set n = namespace(t='aaaaaaaaaaaaaaaa') %}{% for a in range(22) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
      {},
      "too-large",
    ],
    ["of two megabytes", "x".repeat(2 << 20), {}, "too-large"],
  ])("%s fails with a typed error", async (_, source, options, reason) => {
    const render = async () => open(source, options).render({ messages: [] })
    await expect(render()).rejects.toMatchObject({ _tag: "TemplateError", reason })
  })

  it.each([
    ["contains itself", circular, "circular-value"],
    ["is a function", () => 1, "bad-turn"],
  ])("and a value that %s is refused before it runs", async (_, value, reason) => {
    await expect(open("x").render({ value })).rejects.toMatchObject({ _tag: "PromptError", reason })
  })

  it("renders again after a timeout, and several at once in order", async () => {
    const template = open(
      "{% if slow %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}{{ n }}",
      { timeoutMs: 500 },
    )
    const [slow, ...rest] = await Promise.allSettled([
      template.render({ slow: true }),
      template.render({ n: 1 }),
      template.render({ n: 2 }),
    ])
    expect(slow).toMatchObject({ status: "rejected", reason: { reason: "timeout" } })
    expect(
      rest.map((result) => (result.status === "fulfilled" ? promptText(result.value.parts) : result.reason)),
    ).toEqual(["1", "2"])
  })

  it.each([
    "{{ process }}",
    "{{ globalThis }}",
    "{{ require }}",
    "{{ ''.constructor }}",
    "{{ messages.constructor.constructor }}",
    "{{ raise_exception.constructor }}",
    "{{ messages.__proto__ }}",
  ])("sees nothing of the host: %s", async (source) => {
    const rendered = await open(source)
      .render({ messages: [] })
      .then(
        ({ parts }) => promptText(parts),
        (error: Error) => error.message,
      )
    expect(rendered).not.toMatch(/native code|\[object|function/)
  })
})
