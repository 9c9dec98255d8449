// Says which build tool is missing, and the line that installs it, before a build fails with something less clear.
import { spawnSync } from "node:child_process"

const runs = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0
const compiler = process.env.CXX ? runs(process.env.CXX) : runs("c++") || runs("g++") || runs("clang++")
const missing = []
if (!compiler) missing.push(["a C++20 compiler", "g++"])
if (!runs("cmake")) missing.push(["CMake", "cmake"])
if (!runs("make") && !runs("ninja")) missing.push(["make", "make"])

if (missing.length > 0) {
  const names = missing.map(([name]) => name).join(" and ")
  const packages = missing.map(([, name]) => name).join(" ")
  console.error(`The native engine needs ${names}, which this system does not have.`)
  console.error(`  Debian, Ubuntu:  sudo apt-get install ${packages}`)
  console.error(`  Fedora:          sudo dnf install ${packages.replace("g++", "gcc-c++")}`)
  console.error("  macOS:           xcode-select --install && brew install cmake")
  process.exit(1)
}
const major = Number(process.versions.node.split(".")[0])
if (major < 24) {
  console.error(`Node ${process.versions.node} runs this script, and Node 24 or later is needed.`)
  console.error("  On Linux x64 it comes with `npx -y pnpm@12.21.0 install`; elsewhere: https://nodejs.org")
  process.exit(1)
}
