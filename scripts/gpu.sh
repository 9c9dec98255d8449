#!/bin/sh
# From a clean checkout to a table on a machine with a GPU, within 8 minutes. Needs CMake, nvcc and a C++ compiler, no Node
# and no network; Python with torch and transformers adds the peer.
#
#   scripts/gpu.sh [check|bench|all] [folder for the results] [options of gpu_bench]
#
# Compiles only for the chip that is there. gpu_check must pass; compute-sanitizer runs on small cases where it works.
set -u
what="${1:-all}"
results="${2:-build-gpu/results}"
[ $# -ge 2 ] && shift 2 || shift $#
root="$(cd "$(dirname "$0")/.." && pwd)"
build="$root/packages/engine-cuda/build/gpu"
mkdir -p "$results"
results="$(cd "$results" && pwd)"
began="$(date +%s)"
since() { echo "[$(($(date +%s) - began)) s] $*"; }

nvcc="${CUDACXX:-$(command -v nvcc || ls -d /usr/local/cuda*/bin/nvcc 2>/dev/null | tail -1)}"
[ -n "$nvcc" ] || { echo "No nvcc: install the CUDA toolkit or set CUDACXX." >&2; exit 2; }
root_of_nvcc="$("$nvcc" --dryrun -x cu /dev/null 2>&1 | sed -n 's/^#\$ _HERE_=//p')"
[ -x "$root_of_nvcc/nvcc" ] && nvcc="$root_of_nvcc/nvcc"
chip="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d '. ')"
case "$chip" in 90) chip=90a ;; 8[0-9]) ;; *) chip="80;89;90a" ;; esac

log="$results/build.log"
cmake -S "$root/packages/engine-cuda" -B "$build" -DCHASQUI_CUDA=ON -DCHASQUI_ADDON=OFF -DCHASQUI_TESTS=OFF \
  "-DCHASQUI_CUDA_TARGETS=$chip" "-DCMAKE_CUDA_COMPILER=$nvcc" >"$log" 2>&1 &&
  cmake --build "$build" --target gpu_check gpu_bench --parallel "$(nproc)" >>"$log" 2>&1 ||
  { tail -40 "$log" >&2; exit 1; }
since "built for $chip"

status=0
if [ "$what" != bench ]; then
  timeout 150 "$build/gpu_check" --large >"$results/check.txt" 2>&1 || status=1
  tail -45 "$results/check.txt"
  since "checked"
  if [ "$chip" = 90a ]; then
    # In a process of its own: what no device has run yet must not spoil the rest.
    CHASQUI_HOPPER=1 timeout 60 "$build/gpu_check" --large hopper >"$results/check-hopper.txt" 2>&1 || status=1
    tail -25 "$results/check-hopper.txt"
    since "checked Hopper's kernels"
  fi
  sanitizer="$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | tail -1)"
  for tool in memcheck racecheck; do
    if [ -z "$sanitizer" ]; then
      echo "$tool: no compute-sanitizer on this machine"
      continue
    fi
    timeout 60 "$sanitizer" --tool "$tool" --error-exitcode 9 "$build/gpu_check" recorded_steps >"$results/$tool.txt" 2>&1
    case $? in
      0) echo "$tool: clean" ;;
      9) echo "$tool: FAILED, see $results/$tool.txt"; status=1 ;;
      124) echo "$tool: not done within a minute" ;;
      *) echo "$tool: does not run here ($(grep -m1 -i error "$results/$tool.txt"))" ;;
    esac
  done
  since "sanitized"
fi
if [ "$what" != check ]; then
  timeout 200 "$build/gpu_bench" --csv "$results" "$@" || status=1
  since "measured"
  command -v python3 >/dev/null && timeout 120 python3 "$root/bench/gpu/transformers_peer.py" --csv "$results"
  since "peer"
fi
exit $status
