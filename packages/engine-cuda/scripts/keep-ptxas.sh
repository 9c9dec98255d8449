#!/bin/sh
# Runs the compile command it is given and keeps what nvcc and ptxas said in <object>.ptxas, where scripts/check-ptxas.mjs
# reads registers, shared memory and spills. Shows warnings, and everything when the command fails.
object=""
before=""
for word in "$@"; do
  [ "$before" = "-o" ] && object="$word"
  before="$word"
done
[ -z "$object" ] && exec "$@"
"$@" 2>"$object.ptxas"
status=$?
if [ $status -ne 0 ]; then
  cat "$object.ptxas" >&2
  rm -f "$object.ptxas"
else
  grep -i -E "warning|error" "$object.ptxas" >&2
fi
exit $status
