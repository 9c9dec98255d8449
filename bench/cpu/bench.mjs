// Our engine beside node-llama-cpp on the CPU: the same random weights of the shape of Llama 3.2 1B, in one run, in turns.
//
//   pnpm bench:cpu [--quick] [--json] [--formats bf16,q8_0,q4_0] [--threads 1,2] [--phases decode,prefill]
//                  [--contexts 128,4096] [--rounds 5]
//
// Each phase of a format and number of threads is written to the results as soon as it is measured, so a run may be cut
// short or be made in parts: `--formats q4_0 --threads 2 --phases decode --contexts 4096` is one of them.
//
// The peer is installed under bench/tmp/cpu-peer with npm, outside the workspace; the model files (7 GB) are made beside
// it. Each engine is a process of its own that waits while the other works. A round measures both, one after the other;
// what counts is the median over rounds of their ratio, with its 95 % interval (bootstrap over rounds). Wall time says
// what a user sees; on a machine that does other things too, tokens per CPU second is the steadier figure.
// The limits of the machine are measured in the same run: memory read bandwidth for decode (bytes of the weights and of
// the cache for each token), and the peak of the best multiply instruction for prefill. Results go to
// bench/results/cpu.csv.
import { execFileSync } from "node:child_process"
import { appendFileSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { EngineProcess } from "./engine-process.mjs"
import { ggufFile, safetensorsFolder, shape } from "./model-files.mjs"

const peerVersion = "node-llama-cpp@3.22.1"
const folder = (path) => fileURLToPath(new URL(path, import.meta.url))
const peer = folder("../tmp/cpu-peer")
const native = folder("../../packages/engine-cuda")
const flag = (name) => process.argv.includes(`--${name}`)
const list = (name, absent) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? absent : process.argv[at + 1].split(",")
}
const quick = flag("quick")
const formats = list("formats", ["bf16", "q8_0", "q4_0"])
const threadCounts = list("threads", ["1", "2"]).map(Number)
const contexts = list("contexts", quick ? ["128"] : ["128", "4096"]).map(Number)
const prefillLength = quick ? 128 : 512
const phases = list("phases", ["decode", "prefill"])
const rounds = Number(list("rounds", [quick ? 3 : 5])[0])
const steps = quick ? 8 : 24
const engines = ["chasqui", "node-llama-cpp"]

installPeer()
buildMachineBench()
const rows = []
for (const format of formats) for (const threads of threadCounts) rows.push(...(await compare(format, threads)))
if (flag("json"))
  for (const { engine, format, threads, phase, context, ...figures } of rows)
    console.log(JSON.stringify({ engine, format, threads, phase, context, ...figures }))
else table(rows)

// ---- one format and number of threads ----

async function compare(format, threads) {
  const files = { chasqui: safetensorsFolder(peer), "node-llama-cpp": ggufFile(peer, format) }
  const longest = Math.max(prefillLength, ...(phases.includes("decode") ? contexts : [])) + 512
  const workers = {}
  for (const engine of engines) {
    workers[engine] = new EngineProcess()
    const opened = await workers[engine].ask({
      op: "open",
      engine,
      file: files[engine],
      format,
      threads,
      longest,
      peer,
    })
    console.error(`${format}, ${threads} threads: ${engine} on ${opened.device} is loaded`)
  }
  const limits = [machineLimits(threads)]
  const rows = []
  for (const job of jobs()) {
    const measured = await measure(workers, job)
    limits.push(machineLimits(threads))
    const best = Object.fromEntries(
      Object.keys(limits[0]).map((name) => [name, Math.max(...limits.map((each) => each[name]))]),
    )
    const lines = summary(format, threads, job, measured, best, files)
    record(lines)
    rows.push(...lines)
  }
  for (const engine of engines) workers[engine].close()
  return rows
}

function jobs() {
  const decode = contexts.map((context) => ({ op: "decode", context, steps }))
  return [...decode, { op: "prefill", length: prefillLength }].filter((job) => phases.includes(job.op))
}

async function measure(workers, job) {
  const measured = []
  if (job.op === "decode") for (const engine of engines) await workers[engine].ask({ ...job, steps: 2 }) // fills the cache
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? engines : engines.toReversed()
    for (const engine of order) measured.push({ round, engine, ...(await workers[engine].ask(job)) })
  }
  return measured
}

function summary(format, threads, job, measured, limits, files) {
  const of = (engine) => measured.filter((each) => each.engine === engine)
  const [own, other] = engines.map(of)
  const wall = own.map((each, round) => other[round].seconds / each.seconds)
  const cpu = own.map((each, round) => other[round].cpuSeconds / each.cpuSeconds)
  return engines.map((engine) => {
    const perSecond = median(of(engine).map((each) => each.tokens / each.seconds))
    const limit =
      job.op === "prefill" ? prefillLimit(format, limits) : decodeLimit(engine, format, job.context, limits, files)
    return {
      engine,
      format,
      threads,
      phase: job.op,
      context: job.context ?? job.length,
      tokens_per_s: round2(perSecond),
      tokens_per_cpu_s: round2(median(of(engine).map((each) => each.tokens / each.cpuSeconds))),
      fraction_of_limit: round3(perSecond / limit),
      ...(engine === "chasqui" ? { ratio: interval(wall), ratio_cpu: interval(cpu) } : {}),
    }
  })
}

// Tokens per second at which every weight (and the cache) would come from memory at full bandwidth.
function decodeLimit(engine, format, context, limits, files) {
  const cache = 4 * shape.layers * shape.kvHeads * shape.headDim * context
  const weights = engine === "chasqui" ? ownBytes(format) : statSync(files[engine]).size
  return (limits.read_gb_per_s * 1e9) / (weights + cache)
}

function linearWeights() {
  const kv = shape.kvHeads * shape.headDim
  return shape.layers * shape.dim * (2 * shape.dim + 2 * kv + 3 * shape.ffn)
}

// Bits with their scales: int8 8.125, int4 4.25 with the head in int8.
function ownBytes(format) {
  const [bits, headBits] = { bf16: [16, 16], q8_0: [8.125, 8.125], q4_0: [4.25, 8.125] }[format]
  return (bits * linearWeights() + headBits * shape.vocabulary * shape.dim) / 8
}

function prefillLimit(format, limits) {
  const attention = 2 * shape.layers * shape.dim * prefillLength
  const peak = format === "bf16" ? limits.bf16_gflops : limits.int8_gops
  return (peak * 1e9) / (2 * linearWeights() + attention)
}

// ---- statistics ----

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

// Median and its 95 % interval: medians of 2000 resamples, drawn with a fixed seed.
function interval(values) {
  let state = 7
  const draw = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return values[Math.floor((state / 4294967296) * values.length)]
  }
  const medians = Array.from({ length: 2000 }, () => median(values.map(draw))).toSorted((a, b) => a - b)
  return [median(values), medians[50], medians[1949]].map(round3)
}

function round2(value) {
  return Math.round(value * 100) / 100
}

function round3(value) {
  return Math.round(value * 1000) / 1000
}

// ---- the machine, the peer ----

function installPeer() {
  if (existsSync(`${peer}/node_modules/node-llama-cpp/package.json`)) return
  mkdirSync(peer, { recursive: true })
  writeFileSync(`${peer}/package.json`, JSON.stringify({ private: true, type: "module" }))
  console.error(`installing ${peerVersion}`)
  execFileSync("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", peerVersion], {
    cwd: peer,
    env: { ...process.env, NODE_LLAMA_CPP_SKIP_DOWNLOAD: "true" },
    stdio: ["ignore", "ignore", "inherit"],
  })
}

function buildMachineBench() {
  execFileSync("cmake", ["--build", `${native}/build/native`, "--target", "machine_bench"], {
    stdio: ["ignore", "ignore", "inherit"],
  })
}

function machineLimits(threads) {
  return JSON.parse(execFileSync(`${native}/build/native/machine_bench`, [String(threads)], { encoding: "utf8" }))
}

// ---- output ----

function table(rows) {
  console.log(
    "| format | threads | phase | engine | tok/s | tok per CPU s | of the limit | ratio (95 %) | by CPU time |",
  )
  console.log("|---|---:|---|---|---:|---:|---:|---|---|")
  const range = (ratio) =>
    ratio === undefined ? "" : `${ratio[0].toFixed(2)} (${ratio[1].toFixed(2)}-${ratio[2].toFixed(2)})`
  for (const row of rows) {
    const cells = [
      row.format,
      row.threads,
      `${row.phase} ${row.context}`,
      row.engine,
      row.tokens_per_s,
      row.tokens_per_cpu_s,
    ]
    cells.push(`${Math.round(100 * row.fraction_of_limit)} %`, range(row.ratio), range(row.ratio_cpu))
    console.log(`| ${cells.join(" | ")} |`)
  }
  console.log(`\n${machine()}, load ${loadavg()[0].toFixed(1)}, ${rounds} rounds`)
}

function machine() {
  return `${cpus().length} x ${cpus()[0].model}`
}

function record(rows) {
  const file = folder("../results/cpu.csv")
  const header =
    "date,commit,machine,load,rounds,engine,format,threads,phase,context,tokens_per_s,tokens_per_cpu_s,fraction_of_limit," +
    "ratio,ratio_low,ratio_high,ratio_cpu,ratio_cpu_low,ratio_cpu_high\n"
  if (!existsSync(file)) writeFileSync(file, header)
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: folder("."), encoding: "utf8" }).trim()
  const date = new Date().toISOString().slice(0, 10)
  for (const row of rows) {
    const { engine, format, threads, phase, context, tokens_per_s, tokens_per_cpu_s, fraction_of_limit } = row
    const figures = [engine, format, threads, phase, context, tokens_per_s, tokens_per_cpu_s, fraction_of_limit]
    const ratios = [...(row.ratio ?? ["", "", ""]), ...(row.ratio_cpu ?? ["", "", ""])]
    appendFileSync(
      file,
      `${[date, commit, machine(), loadavg()[0].toFixed(1), rounds, ...figures, ...ratios].join(",")}\n`,
    )
  }
}
