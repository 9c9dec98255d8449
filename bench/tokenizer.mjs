// Tokenizer, warm, on 100,000 characters of each kind: load time, megabytes per second of encoding by kind of text, decoding, and the worst runs of one character.
// node bench/tokenizer.mjs [FOLDER OR tokenizer.json]     (default: the tiny model; needs `pnpm run build:ts`)
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { createDetokenizer, loadTokenizer } from "../packages/core/dist/index.js"

const given = process.argv[2] ?? new URL("../packages/tiny-llama/checkpoint", import.meta.url).pathname
const file = statSync(given).isDirectory() ? join(given, "tokenizer.json") : given

const repository = new URL("..", import.meta.url)
const filesIn = (folder, suffix) =>
  readdirSync(new URL(folder, repository))
    .filter((name) => name.endsWith(suffix))
    .map((name) => readFileSync(new URL(`${folder}/${name}`, repository), "utf8"))
    .join("\n")
const texts = {
  English: filesIn("docs", ".md"),
  code: filesIn("packages/core/src", ".ts"),
  JSON: filesIn("packages/core/test/fixtures/prompts", ".jsonl"),
  Chinese: "在印加帝国的道路上，信使们接力奔跑，把消息从一个驿站传到下一个驿站。",
  emoji: "🏃‍♂️➡️🏔️ 👩‍👩‍👧 🇵🇪 ✉️ 👍🏽 ",
}

const started = performance.now()
const json = JSON.parse(readFileSync(file, "utf8"))
const read = performance.now()
const tokenizer = loadTokenizer(json)
console.log(`${file}: ${tokenizer.vocabularySize} tokens`)
console.log(`load: ${(read - started).toFixed(0)} ms file and JSON, ${(performance.now() - read).toFixed(0)} ms tables`)

for (const [kind, sample] of Object.entries(texts)) {
  const text = sample.repeat(Math.ceil(100_000 / sample.length)).slice(0, 100_000)
  const megabytes = Buffer.byteLength(text) / 1e6
  const encode = rate(megabytes, () => tokenizer.encodeText(text))
  const ids = tokenizer.encodeText(text)
  const decode = rate(megabytes, () => {
    const detokenizer = createDetokenizer(tokenizer)
    for (const id of ids) detokenizer.push(id)
    detokenizer.end()
  })
  console.log(
    `${kind}: encode ${encode} MB/s, detokenize ${decode} MB/s, ${(text.length / ids.length).toFixed(2)} characters per token`,
  )
}

for (const [name, unit] of [
  ["a", "a"],
  ["spaces", " "],
  ["line feeds", "\n"],
  ["Han", "你"],
]) {
  const times = [100_000, 1_000_000].map((length) => {
    const text = unit.repeat(length)
    const start = performance.now()
    tokenizer.encodeText(text)
    return performance.now() - start
  })
  console.log(
    `run of ${name}: ${times[0].toFixed(0)} ms for 100,000 characters, ${times[1].toFixed(0)} ms for 1,000,000`,
  )
}

/** The best of the runs within half a second. */
function rate(megabytes, act) {
  let best = Number.POSITIVE_INFINITY
  for (const until = performance.now() + 500; performance.now() < until; ) {
    const start = performance.now()
    act()
    best = Math.min(best, performance.now() - start)
  }
  return ((megabytes / best) * 1000).toFixed(1)
}
