import { expect, it } from "vitest"
import { splitSpecials } from "../src/parser-request.ts"
import { answers, cutAtRandom, findEventFault, parsePieces, randomNumbers, toolSets } from "./answers.ts"

const options = toolSets.all
const scraps = [
  '{"name": "get_weather", "parameters": {"city": "Paris"}}',
  '{"name": "nope", "parameters": {}}',
  '{"name": "get_weather", "parameters": {',
  "<function=get_time>{}</function>",
  '[get_weather(city="Paris")]',
  'brave_search.call(query="x")',
  ..."{}[]()<>\"'`\\,;:=*# \n",
  "```",
  "```json\n",
  '"""',
  "<|python_tag|>",
  "<|eot_id|>",
  "<|start_header_id|>",
  '"name"',
  '"parameters": ',
  "null",
  "True",
  "-1.5e3",
  "\\u00e9",
  "é",
  "🦙",
  "\ud800",
  "\udc00",
  "\0",
  "text ",
]

/** The text of an answer as a listener gets it when nothing in it is a call: no control tokens, no halves of characters. */
function plainText(raw: string): string {
  const text = [...splitSpecials([raw.split(/<\|(?:eot_id|eom_id|end_of_text)\|>/)[0] ?? ""])]
    .map((part) => ("text" in part ? part.text.toWellFormed() : ""))
    .join("")
  return /^<\|start_header_id\|>assistant<\|end_header_id\|>/.test(raw) ? text.replace(/^assistant(\n\n)?/, "") : text
}

function check(raw: string, finish: "stop" | "length", random: (below: number) => number): void {
  const whole = parsePieces([raw], options, finish)
  expect(findEventFault(whole.events, whole.turn), JSON.stringify(raw)).toBeUndefined()
  const cut = parsePieces(cutAtRandom(raw, random), options, finish)
  if (JSON.stringify(cut) !== JSON.stringify(whole)) expect(cut, JSON.stringify(raw)).toEqual(whole)
  if (whole.turn.toolCalls.length === 0) {
    // White space and separators between two things that were meant as calls belong to neither; the text of an invalid
    // call names the control tokens in it.
    const bare = (text: string): string => {
      const less = text.replace(/[\s,;]|<\|\w+\|>/g, "")
      return less === text ? text : bare(less)
    }
    const { remainder } = whole.turn
    if (bare(remainder) !== bare(plainText(raw))) expect(remainder, JSON.stringify(raw)).toBe(plainText(raw))
    if (whole.turn.invalidCalls.length === 0 && !raw.includes("<|python_tag|>")) {
      expect(whole.turn.remainder, JSON.stringify(raw)).toBe(plainText(raw))
    }
  }
}

it("reads every answer alike in random batches, loses no text, and keeps its events in order", () => {
  const random = randomNumbers(1)
  for (const { raw, finish } of answers) {
    for (let round = 0; round < 10; round++) check(raw, finish ?? "stop", random)
  }
})

it("stands random scraps of calls", () => {
  const random = randomNumbers(2)
  for (let round = 0; round < 20_000; round++) {
    const raw = Array.from({ length: 1 + random(14) }, () => scraps[random(scraps.length)]).join("")
    check(raw, random(2) === 0 ? "stop" : "length", random)
  }
})

it("stands damaged answers: characters dropped, doubled, replaced and answers run together", () => {
  const random = randomNumbers(3)
  const pick = () => answers[random(answers.length)]?.raw ?? ""
  for (let round = 0; round < 20_000; round++) {
    let raw = random(3) === 0 ? pick() + pick() : pick()
    for (let change = random(4); change >= 0; change--) {
      const at = random(raw.length + 1)
      const scrap = random(2) === 0 ? (scraps[random(scraps.length)] ?? "") : ""
      raw = raw.slice(0, at) + scrap + raw.slice(at + random(3))
    }
    check(raw, random(2) === 0 ? "stop" : "length", random)
  }
})

it("stands random text of all planes", () => {
  const random = randomNumbers(4)
  for (let round = 0; round < 3_000; round++) {
    const raw = String.fromCharCode(
      ...Array.from({ length: 1 + random(30) }, () => random(random(2) === 0 ? 128 : 65_536)),
    )
    check(raw, "stop", random)
  }
})
