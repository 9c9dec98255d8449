// Builds the addon with CUDA into build/cuda, where the loader looks first. The CPU build in build/native needs no CUDA and
// is not touched, so a first start never waits for nvcc.
//
//   node scripts/build-cuda.mjs               builds; fails without nvcc
//   node scripts/build-cuda.mjs --if-found    builds where there is nvcc, says in one line where not
//   node scripts/build-cuda.mjs --if-built    brings an earlier build up to date, and does nothing else
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("..", import.meta.url))
const build = join(folder, "build", "cuda")
const option = process.argv[2]

if (option === "--if-built" && !existsSync(join(build, "CMakeCache.txt"))) process.exit(0)
const nvcc = findNvcc()
if (nvcc === undefined) {
  console.log("cuda: no nvcc on this machine, so the engine runs on the CPU only")
  process.exit(option === undefined ? 1 : 0)
}
const started = performance.now()
run("cmake", ["-S", folder, "-B", build, "-DCHASQUI_CUDA=ON", `-DCMAKE_CUDA_COMPILER=${nvcc}`, ...launcher()])
run("cmake", ["--build", build, "--target", "addon", "--parallel", "2"])
console.log(`cuda: built with ${nvcc} in ${Math.round((performance.now() - started) / 1000)} s`)

function findNvcc() {
  const places = [
    process.env.CUDACXX,
    ...(process.env.PATH ?? "").split(":").map((place) => join(place, "nvcc")),
    ...["CUDA_HOME", "CUDA_PATH"].flatMap((name) =>
      process.env[name] ? [join(process.env[name], "bin", "nvcc")] : [],
    ),
    "/usr/local/cuda/bin/nvcc",
    ...readdirSync("/usr/local").flatMap((name) => (name.startsWith("cuda-") ? [`/usr/local/${name}/bin/nvcc`] : [])),
  ]
  const works = (path) => path && spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0
  const found = places.find(works)
  if (found === undefined) return undefined
  // A wrapper script hides where the toolkit lies from CMake; nvcc itself says it.
  const dry = spawnSync(found, ["--dryrun", "-x", "cu", "/dev/null"], { encoding: "utf8" })
  const root = /^#\$ _HERE_=(.*)$/m.exec(dry.stderr ?? "")?.[1]
  return root && existsSync(join(root, "nvcc")) ? join(root, "nvcc") : found
}

/** A compiler cache that is set for C++ serves nvcc too. */
function launcher() {
  const cache = process.env.CMAKE_CUDA_COMPILER_LAUNCHER ?? process.env.CMAKE_CXX_COMPILER_LAUNCHER
  return cache ? [`-DCMAKE_CUDA_COMPILER_LAUNCHER=${cache}`] : []
}

function run(program, given) {
  const { status } = spawnSync(program, given, { stdio: "inherit", cwd: dirname(folder) })
  if (status !== 0) process.exit(status ?? 1)
}
