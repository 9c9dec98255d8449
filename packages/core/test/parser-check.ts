/** What must hold for any answer, however damaged; used by the fast and the slow fuzz tests. */
import { expect } from "vitest"
import { splitSpecials } from "../src/parser-request.ts"
import { answers, cutAtRandom, findEventFault, parsePieces, toolSets } from "./answers.ts"

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

/** The events are in order, random cuts change nothing, and no text is lost. */
export function checkAnswer(raw: string, finish: "stop" | "length", random: (below: number) => number): void {
  const whole = parsePieces([raw], options, finish)
  expect(findEventFault(whole.events, whole.turn), JSON.stringify(raw)).toBeUndefined()
  const cut = parsePieces(cutAtRandom(raw, random), options, finish)
  if (JSON.stringify(cut) !== JSON.stringify(whole)) expect(cut, JSON.stringify(raw)).toEqual(whole)
  const { remainder, toolCalls, invalidCalls } = whole.turn
  const text = plainText(raw)
  const isExact = toolCalls.length + invalidCalls.length === 0 && !raw.includes("<|python_tag|>")
  if (isExact) expect(remainder, JSON.stringify(raw)).toBe(text)
  else {
    // The text of an invalid call shows the control tokens in it by name; of a call nothing is left.
    expect(isWithin(bare(remainder), bare(raw.toWellFormed())), JSON.stringify(raw)).toBe(true)
    if (toolCalls.length === 0) expect(isWithin(bare(text), bare(remainder)), JSON.stringify(raw)).toBe(true)
  }
}

/** Text without what belongs to neither of two things that were meant as calls: white space and separators. */
function bare(text: string): string {
  return text.replace(/[\s,;]/g, "")
}

/** Whether a text is another with parts left out. */
function isWithin(part: string, whole: string): boolean {
  let at = 0
  for (const unit of whole) if (part.startsWith(unit, at)) at += unit.length
  return at === part.length
}

/** Scraps of calls in any order. */
export function randomScraps(random: (below: number) => number): string {
  return Array.from({ length: 1 + random(14) }, () => scraps[random(scraps.length)]).join("")
}

/** An answer, or two run together, with characters dropped, doubled or replaced. */
export function damagedAnswer(random: (below: number) => number): string {
  const pick = () => answers[random(answers.length)]?.raw ?? ""
  let raw = random(3) === 0 ? pick() + pick() : pick()
  for (let change = random(4); change >= 0; change--) {
    const at = random(raw.length + 1)
    const scrap = random(2) === 0 ? (scraps[random(scraps.length)] ?? "") : ""
    raw = raw.slice(0, at) + scrap + raw.slice(at + random(3))
  }
  return raw
}

/** Text of all planes, with unpaired surrogates. */
export function randomText(random: (below: number) => number): string {
  return String.fromCharCode(...Array.from({ length: 1 + random(30) }, () => random(random(2) === 0 ? 128 : 65_536)))
}
