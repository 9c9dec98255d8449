// How fast checkpoints' own formats run on the CPU: prefill and decode on random weights of the shape of Llama 3.2 1B, a
// format at a time, in tokens per CPU second, with the share of what the machine's memory gives (decode; every weight, the
// bf16 head among them, is read once for a token).
//
//   pnpm bench:formats [--formats awq,bnb-nf4] [--kernels avx2] [--repeat 5] [--save NOTE]
//
// Formats: native/bench/packed_weights.h, and bf16, int8, int4, nf4, fp8 (quantised on load). --save adds the rows to
// bench/results/formats-cpu.csv.
import { execFileSync } from "node:child_process"
import { appendFileSync, existsSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"

const folder = (path) => fileURLToPath(new URL(path, import.meta.url))
const build = folder("../packages/engine-cuda/build/native")
const option = (name, absent) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? absent : process.argv[at + 1]
}
const all =
  "bf16,int8,int4,nf4,fp8,awq,gptq,gptq-act-order,gptq-int8,ct-int4-g32,ct-int8,bnb-nf4,bnb-int8,fp8-channel,fp8-block"
const formats = option("formats", all).split(",")
const kernels = option("kernels", "")
const note = option("save")

execFileSync("cmake", ["--build", build, "--target", "forward_bench"], { stdio: ["ignore", "ignore", "inherit"] })
console.log("| format | phase | tok per CPU s | of the limit |\n|---|---|---:|---:|")
for (const format of formats) {
  const [machine, ...lines] = measure(format)
  for (const line of lines) {
    const share =
      line.phase === "decode" ? `${Math.round(100 * line.fraction_of_limit)} % of ${machine.read_gb_per_s} GB/s` : ""
    console.log(`| ${format} | ${line.phase} ${line.context} | ${line.tokens_per_cpu_s} | ${share} |`)
    if (note !== undefined) record(machine, line)
  }
}

function measure(format) {
  const args = ["--threads", "1", "--prefill", "512", "--context", "128", "--batch", "1", "--weights", format, "--json"]
  args.push("--repeat", option("repeat", "3"), ...(kernels === "" ? [] : ["--kernels", kernels]))
  const output = execFileSync(`${build}/forward_bench`, args, { encoding: "utf8" })
  return output.trim().split("\n").map(JSON.parse)
}

function record(machine, line) {
  const file = folder("results/formats-cpu.csv")
  const header =
    "# random weights of the shape of Llama 3.2 1B, one thread; CPU seconds, the least of the repetitions; the head of a\n" +
    "# checkpoint's own format is bf16, that of the others (bf16 apart) int8\n" +
    "date,commit,machine,load,note,kernels,format,phase,context,tokens_per_cpu_s,read_gb_per_s,fraction_of_read_bandwidth\n"
  if (!existsSync(file)) writeFileSync(file, header)
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: folder("."), encoding: "utf8" }).trim()
  const chip = `${cpus().length} x ${cpus()[0].model}`
  const share = line.phase === "decode" ? line.fraction_of_limit : ""
  const device = machine.device.replace(/^cpu \((.*), 1 thread\)$/, "$1")
  const row = [new Date().toISOString().slice(0, 10), commit, chip, loadavg()[0].toFixed(1), note, device, line.format]
  row.push(line.phase, line.context, line.tokens_per_cpu_s, machine.read_gb_per_s, share)
  appendFileSync(file, `${row.join(",")}\n`)
}
