/**
 * What hostile or careless code may try, one entry for each attack, with what must come of it. The fast suite runs the list once, the
 * slow one many times. An outcome is written as its status and, for an error, a pattern of its message. This file is long because it
 * is one table.
 */
import { engineAttacks } from "./engine-attacks.ts"

export interface Attack {
  readonly name: string
  readonly code: string
  /** What may come of it: `status` or `status: pattern of the error`. */
  readonly ends: readonly string[]
  /** What the last expression must show, where the attack ends as completed. */
  readonly result?: string
  readonly timeoutMs?: number
  /** The interpreter is of no use to anyone afterwards: the next attack gets a fresh one. */
  readonly spoils?: true
}

/** Makes WebAssembly modules and loads them as libraries. */
export const leb = `
def leb(v):
    o = b""
    while True:
        c = v & 127; v >>= 7
        if (v == 0 and not c & 64) or (v == -1 and c & 64): return o + bytes([c])
        o += bytes([c | 128])
section = lambda i, p: bytes([i]) + leb(len(p) if len(p) < 64 else len(p)) + p
dylink = section(0, b"\\x08dylink.0\\x01\\x04\\0\\0\\0\\0")
types = section(1, b"\\x01\\x60\\0\\0")
def load(wasm):
    import ctypes
    open("/tmp/x.so", "wb").write(b"\\0asm\\1\\0\\0\\0" + wasm)
    ctypes.CDLL("/tmp/x.so")
`

/** Functions of the isolate's JavaScript that Python holds; `proxy` is the one that sleeps. */
export const proxy = `
import gc
cells = {"outside": next(each for each in gc.get_objects() if type(each) is dict and each.keys() == {"sleep", "report"})}
proxy = cells["outside"]["sleep"]
`

/** These must be stopped, so they are given little time; all others more than they need on a busy machine. */
/** What an attacker who goes on in the same interpreter meets at last: `_`, `__` and `___` keep the results of earlier calls. */
const outOfMemory = "error: MemoryError"

export const timeAttacks: readonly Attack[] = withTime(250, [
  { name: "an endless loop", code: "while True: pass", ends: ["timeout"] },
  { name: "an endless loop over a C iterator", code: "for _ in iter(int, 1): pass", ends: ["timeout"] },
  {
    name: "a loop that catches the interrupt",
    code: "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    ends: ["died"],
    spoils: true,
  },
  {
    name: "an interrupt handler that is replaced",
    code: "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    ends: ["died"],
    spoils: true,
  },
  { name: "a loop in C", code: "sum(range(10**12))", ends: ["died"], spoils: true },
  {
    name: "a loop in C that fills nothing",
    code: "import collections, itertools\ncollections.deque(itertools.repeat(0), maxlen=0)",
    ends: ["died"],
    spoils: true,
  },
  {
    name: "a regular expression that backtracks",
    code: 'import re\nre.match(r"(a+)+$", "a" * 40 + "b")',
    ends: ["timeout"],
  },
  { name: "a power of astronomic size", code: "x = 10 ** 10 ** 8", ends: ["timeout", "died"], spoils: true },
  {
    name: "digits of an astronomic number",
    code: "import sys\nsys.set_int_max_str_digits(0)\nlen(str(3 ** 5_000_000))",
    ends: ["timeout", "died"],
    spoils: true,
  },
  { name: "sleeping", code: "import time\ntime.sleep(1000)", ends: ["timeout"] },
  { name: "sleeping in asyncio", code: "import asyncio\nawait asyncio.sleep(1000)", ends: ["timeout"] },
  {
    name: "sleeping again after each interrupt",
    code: "import time\nwhile True:\n  try: time.sleep(1)\n  except BaseException: pass",
    ends: ["died"],
    spoils: true,
  },
  {
    name: "random bytes without end",
    code: "import os\nwhile True:\n  try: os.urandom(65536)\n  except BaseException: pass",
    ends: ["died", "timeout"],
    spoils: true,
  },
  {
    name: "a finalizer that never ends",
    code: "class A:\n  def __del__(self):\n    while True: pass\na = A(); del a",
    ends: ["timeout", "completed", "died"],
    spoils: true,
  },
  {
    name: "a repr that never ends",
    code: "class A:\n  def __repr__(self):\n    while True: pass\nA()",
    ends: ["timeout"],
  },
  {
    name: "an exception text that never ends",
    code: "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E()",
    ends: ["error", "timeout", "died"],
    spoils: true,
  },
  {
    name: "an event loop with nothing left to wait for",
    code: "import asyncio\nawait asyncio.get_running_loop().create_future()",
    ends: ["error: RuntimeError: deadlock"],
  },
  { name: "reading standard input", code: "input()", ends: ["error: EOFError"] },
  { name: "printing without end", code: "while True: print('x' * 1000)", ends: ["timeout"] },
  {
    name: "printing to stderr without end",
    code: "import sys\nwhile True: print('x' * 1000, file=sys.stderr)",
    ends: ["timeout"],
  },
  {
    name: "writing to the descriptor without end",
    code: "import os\nwhile True: os.write(1, b'x' * 65536)",
    ends: ["timeout"],
  },
])

export const memoryAttacks: readonly Attack[] = [
  { name: "a list that doubles", code: "x = [0]\nwhile True: x = x * 2", ends: ["error: MemoryError"] },
  { name: "a string that doubles", code: "x = 'a'\nwhile True: x += x", ends: ["error: MemoryError"] },
  { name: "bytes of 10 GB", code: "b'x' * 10**10", ends: ["error: (MemoryError|OverflowError)"] },
  {
    name: "bytearrays without end",
    code: "b = []\nwhile True: b.append(bytearray(10_000_000))",
    ends: ["error: MemoryError"],
  },
  {
    name: "a dictionary without end",
    code: "d = {}\nfor i in iter(int, 1): d[len(d)] = 0",
    ends: ["error: MemoryError", "timeout"],
    timeoutMs: 8000,
  },
  {
    name: "joining an endless iterator",
    code: "import itertools\n','.join(itertools.repeat('a' * 10000))",
    ends: ["error: MemoryError", "died"],
  },
  {
    name: "memory from ctypes",
    code: "import ctypes\nctypes.create_string_buffer(2_000_000_000)",
    ends: ["error: (MemoryError|OverflowError)"],
  },
  {
    name: "anonymous mappings",
    code: "import mmap\nm = []\nwhile True: m.append(mmap.mmap(-1, 10_000_000))",
    ends: ["error: (OSError|MemoryError)"],
  },
  {
    name: "an array of 8 GB",
    code: "import array\narray.array('d', bytes(8)) * 10**9",
    ends: ["error: (MemoryError|OverflowError)"],
  },
  {
    name: "compressed zeros",
    code: "import zlib\nz = zlib.compress(bytes(10**7))\nb''.join(zlib.decompress(z) for _ in range(10**6))",
    ends: ["error: MemoryError"],
  },
  {
    name: "objects of JavaScript",
    code: "from pyodide.ffi import to_js\nkeep = []\nwhile True: keep.append(to_js(list(range(100000))))",
    ends: ["died", "error", "timeout"],
    timeoutMs: 1000,
    spoils: true,
  },
  {
    name: "proxies for JavaScript",
    code: "from pyodide.ffi import create_proxy\nkeep = []\nwhile True: keep.append(create_proxy([]))",
    ends: ["died", "timeout", "error"],
    timeoutMs: 1000,
    spoils: true,
  },
  {
    name: "a wasm module with a memory of its own",
    code: `${leb}load(dylink + types + section(3, b"\\x01\\0") + section(5, b"\\x01\\x00\\x80\\x7d"))`,
    ends: ["error: OSError", "died"],
    spoils: true,
  },
  {
    name: "a wasm module with a start function",
    code: `${leb}load(dylink + types + section(3, b"\\x01\\0") + section(8, b"\\0") + section(10, b"\\x01\\x02\\0\\x0b"))`,
    ends: ["error: OSError", "died"],
    spoils: true,
  },
  {
    name: "a wasm module that is large",
    code: `${leb}load(dylink + types + section(1, b"\\0" * 10000))`,
    ends: ["error: OSError", "died"],
    spoils: true,
  },
  { name: "a result of 20 MB", spoils: true, code: "'x' * 20_000_000", ends: ["completed", outOfMemory] },
  {
    name: "a traceback of 50 MB",
    spoils: true,
    code: "raise ValueError('x' * 50_000_000)",
    ends: ["error: ValueError", outOfMemory],
  },
  {
    name: "a repr of 50 MB",
    spoils: true,
    code: "class A:\n  def __repr__(self): return 'x' * 50_000_000\nA()",
    ends: ["completed", outOfMemory],
  },
]

export const fileAttacks: readonly Attack[] = [
  {
    name: "a file without end",
    code: "with open('big', 'wb') as f:\n  while True: f.write(b'x' * 1_000_000)",
    ends: ["error: OSError: .*No space left"],
    spoils: true,
  },
  {
    name: "a file that is truncated to 10 GB",
    code: "open('sparse', 'wb').truncate(10**10)",
    ends: ["error: OSError"],
  },
  {
    name: "files without end",
    code: "i = 0\nwhile True:\n  open(f'f{i}', 'w').close(); i += 1",
    ends: ["error: OSError: .*No space left"],
    spoils: true,
  },
  {
    name: "folders in folders without end",
    code: "import os\nwhile True: os.mkdir('d'); os.chdir('d')",
    ends: ["error: OSError", "timeout", "died"],
    timeoutMs: 1000,
    spoils: true,
  },
  {
    name: "open files without a name",
    code: "import os\nkeep = []\nwhile True:\n  f = open('gone', 'wb', buffering=0); keep.append(f); os.unlink('gone'); f.write(b'x' * 1_000_000)",
    ends: ["error: OSError"],
    spoils: true,
  },
  {
    name: "a zip archive that unpacks to 100 MB",
    code: "import io, zipfile\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED) as z:\n  for i in range(100): z.writestr(f'{i}', bytes(1_000_000))\nzipfile.ZipFile(b).extractall('out')",
    ends: ["error: OSError: .*No space left"],
    spoils: true,
  },
  {
    name: "links to the host's files",
    code: "import os\nos.symlink('/etc/passwd', 'link.txt')\nopen('link.txt').read()",
    ends: ["error: FileNotFoundError"],
    spoils: true,
  },
  {
    name: "a link that leads to itself",
    code: "import os\nos.symlink('loop', 'loop')\nopen('loop').read()",
    ends: ["error: OSError"],
    spoils: true,
  },
  {
    name: "names that are paths elsewhere",
    code: "for name in ('a:b', '..\\\\x', 'line\\nbreak', 'C:\\\\x'): open(name, 'w').write('x')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "more files than may be given back",
    code: "for i in range(1000): open(f'{i}.txt', 'w').write('x')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "reading random bytes to the end",
    code: "open('/dev/urandom', 'rb').read()",
    timeoutMs: 400,
    ends: ["error: MemoryError", "timeout", "died"],
    spoils: true,
  },
  {
    name: "removing the working folder",
    code: "import os, shutil\nshutil.rmtree('/home/user', ignore_errors=True)\nos.path.exists('/home/user')",
    ends: ["completed", "died", "error"],
    spoils: true,
  },
  {
    name: "removing every file",
    code: "import shutil\nfor p in ('/lib', '/tmp', '/home', '/dev'): shutil.rmtree(p, ignore_errors=True)",
    ends: ["completed", "died", "error"],
    spoils: true,
  },
]

export const javascriptAttacks: readonly Attack[] = [
  { name: "importing js", code: "import js", ends: ["error: ModuleNotFoundError"] },
  { name: "importing pyodide_js", code: "import pyodide_js", ends: ["error: ModuleNotFoundError"] },
  {
    name: "run_js",
    code: "from pyodide.code import run_js\nrun_js('1')",
    ends: ["error: (ModuleNotFoundError|ImportError)"],
  },
  {
    name: "the import hook's own table",
    code: "from _pyodide._importhook import jsfinder\nlen(jsfinder.jsproxies)",
    ends: ["completed"],
    result: "0",
  },
  {
    name: "the interpreter's core module",
    code: "import _pyodide_core\n[n for n in dir(_pyodide_core) if 'eval' in n]",
    ends: ["completed"],
    result: "[]",
  },
  { name: "a constructor that makes code", code: `${proxy}proxy.constructor('return 1')()`, ends: ["error"] },
  {
    name: "a constructor that makes code, by new",
    code: `${proxy}proxy.constructor.new('return 1')()`,
    ends: ["error"],
  },
  {
    name: "a constructor of a constructor",
    code: `${proxy}proxy.constructor.constructor('return 1')()`,
    ends: ["error"],
  },
  {
    name: "a constructor through a prototype",
    code: `${proxy}getattr(proxy, '__proto__').constructor('return 1')()`,
    ends: ["error"],
  },
  {
    name: "prototypes that are changed",
    code: `${proxy}p = proxy.constructor.prototype\np.toString = 1\np.then = 1\np.toJSON = 1\n1`,
    ends: ["error", "completed"],
    spoils: true,
  },
  {
    name: "code through emscripten_run_script",
    code: "import ctypes\nctypes.CDLL(None).emscripten_run_script(b'1')",
    ends: ["error", "died"],
    spoils: true,
  },
  {
    name: "forged results",
    code: `${proxy}cells['outside']['report']('result', 'x' * 60_000_000)`,
    ends: ["completed"],
  },
  {
    name: "results under strange names",
    code: `${proxy}r = cells['outside']['report']\nr('__proto__', 'x'); r('files', 'x'); r('omitted', 'x'); r(1, 2)\n1`,
    ends: ["completed"],
    result: "1",
  },
  {
    name: "fetching through pyodide",
    code: "from pyodide.http import open_url\nopen_url('http://127.0.0.1/')",
    ends: ["error"],
  },
  { name: "installing packages", code: "import micropip", ends: ["error: ModuleNotFoundError"] },
  {
    name: "native modules through dlopen",
    code: "import _ctypes\n_ctypes.dlopen('/lib/none.so', 0)",
    ends: ["error: (OSError|TypeError|AttributeError|SystemError)", "died"],
    spoils: true,
  },
]

export const hostAttacks: readonly Attack[] = [
  { name: "reading /etc/passwd", code: "open('/etc/passwd').read()", ends: ["error: FileNotFoundError"] },
  {
    name: "reading the host's environment",
    code: "import os\nsorted(os.environ)",
    ends: ["completed"],
    result: "['HOME', 'LANG', 'LD_LIBRARY_PATH', 'LOGNAME', 'PATH', 'PWD', 'PYTHONINSPECT', 'TZ', 'USER', '_']",
  },
  {
    name: "listing the host's files",
    code: "import os\nsorted(os.listdir('/'))",
    ends: ["completed"],
    result: "['dev', 'home', 'lib', 'proc', 'tmp']",
  },
  { name: "starting a process", code: "import subprocess\nsubprocess.run(['ls'])", ends: ["error: OSError"] },
  { name: "a shell", code: "import os\nos.system('ls')", ends: ["error", "completed"], result: "-1" },
  { name: "forking", code: "import os\nos.fork()", ends: ["error"] },
  { name: "replacing the process", code: "import os\nos.execv('/bin/sh', ['sh'])", ends: ["error"] },
  {
    name: "opening a connection",
    code: "import socket\nsocket.create_connection(('127.0.0.1', 80), timeout=1)",
    ends: ["error: OSError", "error: .*Host is unreachable", "error: "],
  },
  {
    name: "listening for connections",
    code: "import socket\ns = socket.socket(); s.bind(('127.0.0.1', 8080)); s.listen(); s.accept()",
    ends: ["error", "timeout"],
  },
  {
    name: "fetching a page",
    code: "import urllib.request\nurllib.request.urlopen('http://127.0.0.1/', timeout=1).read()",
    ends: ["error"],
  },
  { name: "threads", code: "import threading\nthreading.Thread(target=print).start()", ends: ["error: RuntimeError"] },
  { name: "a pool of processes", code: "import multiprocessing\nmultiprocessing.Pool(2)", ends: ["error"] },
  {
    name: "killing the parent",
    code: "import os\nos.kill(os.getppid(), 9)",
    ends: ["error", "completed", "died"],
    spoils: true,
  },
  {
    name: "killing every process",
    code: "import os\nos.kill(-1, 9)",
    ends: ["error", "completed", "died"],
    spoils: true,
  },
]

export const endAttacks: readonly Attack[] = [
  { name: "os._exit", code: "import os\nos._exit(3)", ends: ["died"], spoils: true },
  { name: "os.abort", code: "import os\nos.abort()", ends: ["died"], spoils: true },
  { name: "sys.exit", code: "import sys\nsys.exit(3)", ends: ["error: SystemExit: 3"] },
  {
    name: "a fatal signal",
    code: "import signal\nsignal.raise_signal(signal.SIGSEGV)",
    ends: ["error", "died", "completed"],
    spoils: true,
  },
  {
    name: "a null pointer",
    code: "import ctypes\nctypes.string_at(0)",
    ends: ["completed", "error", "died"],
    spoils: true,
  },
  {
    name: "memory that is overwritten",
    code: "import ctypes\nctypes.memset(0, 255, 20_000_000)",
    ends: ["died", "error"],
    spoils: true,
  },
  {
    name: "memory that is read past its end",
    code: "import ctypes\nctypes.string_at(0, 2_000_000_000)",
    ends: ["died", "error"],
    spoils: true,
  },
  { name: "recursion", code: "def f(n): return f(n + 1)\nf(0)", ends: ["error: RecursionError"] },
  {
    name: "recursion without a limit",
    code: "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
    ends: ["died", "error: (RecursionError|MemoryError)"],
    spoils: true,
  },
  {
    name: "JSON that is nested deeply",
    code: "import json\njson.loads('[' * 100000)",
    ends: ["error: RecursionError", "died"],
    spoils: true,
  },
  {
    name: "the repr of a list that is nested deeply",
    code: "x = []\nfor i in range(10**6): x = [x]\nrepr(x)",
    ends: ["error: RecursionError", "died"],
    spoils: true,
  },
  {
    name: "source that is nested deeply",
    code: "compile('(' * 100000, 'x', 'eval')",
    ends: ["error: (SyntaxError|RecursionError|MemoryError)", "died"],
    spoils: true,
  },
  {
    name: "an expression of a million operators",
    code: "eval('-' * 1_000_000 + '1')",
    ends: ["error: (SyntaxError|RecursionError|MemoryError)", "died"],
    spoils: true,
  },
  {
    name: "exceptions that are nested deeply",
    code: "e = None\nfor i in range(20000):\n  n = ValueError(i); n.__cause__ = e; e = n\nraise e",
    ends: ["error: ValueError", "died"],
    spoils: true,
  },
  {
    name: "a stack overflow in the parser of patterns",
    code: "import re\nre.compile('(' * 50000 + ')' * 50000)",
    ends: ["error", "died"],
    spoils: true,
  },
]

export const runnerAttacks: readonly Attack[] = [
  {
    name: "replaced builtins",
    code: "import builtins\nbuiltins.repr = builtins.str = builtins.len = builtins.isinstance = builtins.type = None\n41",
    ends: ["completed"],
    result: "41",
    spoils: true,
  },
  {
    name: "a replaced json module",
    code: "import json\njson.dumps = lambda *a, **k: 'x' * 60_000_000\n1",
    ends: ["completed"],
    result: "1",
    spoils: true,
  },
  {
    name: "replaced compile and ast",
    code: "import ast, builtins\nast.parse = builtins.compile = builtins.exec = builtins.eval = None\n2",
    ends: ["completed"],
    result: "2",
    spoils: true,
  },
  {
    name: "no standard output",
    code: "import sys\nsys.stdout = sys.stderr = None\n3",
    ends: ["completed"],
    result: "3",
  },
  {
    name: "closed streams",
    code: "import sys\nsys.stdout.close(); sys.stderr.close()\n4",
    ends: ["completed"],
    result: "4",
  },
  {
    name: "closed descriptors",
    code: "import os\nos.close(0); os.close(1); os.close(2)\n5",
    ends: ["completed", "error"],
    spoils: true,
  },
  {
    name: "no modules left",
    code: "import sys\nsys.modules.clear()\n6",
    ends: ["completed"],
    result: "6",
    spoils: true,
  },
  { name: "no globals left", code: "globals().clear()", ends: ["completed"], spoils: true },
  {
    name: "the runner's own cells emptied",
    code: `${proxy}cells['outside'].clear()`,
    ends: ["died", "error", "completed"],
    spoils: true,
  },
  {
    name: "a trace function that fails",
    code: "import sys\ndef t(*a): raise SystemError('no')\nsys.settrace(t)\nlen([])",
    ends: ["completed", "error", "died"],
    spoils: true,
  },
  {
    name: "an audit hook that refuses everything",
    code: "import sys\ndef h(*a): raise OSError('no')\nsys.addaudithook(h)",
    ends: ["completed", "error", "died"],
    spoils: true,
  },
  {
    name: "an exception whose text fails",
    code: "class E(Exception):\n  def __str__(self): raise SystemExit\nraise E",
    ends: ["error: E"],
  },
  {
    name: "an exception group that is nested deeply",
    code: "e = ValueError()\nfor i in range(3000): e = ExceptionGroup('g', [e])\nraise e",
    ends: ["error: ExceptionGroup", "died"],
    spoils: true,
  },
  { name: "half characters", code: "print('\\ud800'); '\\udfff'", ends: ["completed"], result: "'\\udfff'" },
  {
    name: "bytes that are no text",
    code: "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe\\x00'); None",
    ends: ["completed"],
  },
  {
    name: "tasks that are left running",
    code: "import asyncio\nasync def f():\n  while True: await asyncio.sleep(0)\nasync def main(): asyncio.create_task(f())\nawait main()\n7",
    ends: ["completed"],
    result: "7",
  },
  { name: "source with a null character", code: "x = '\0'", ends: ["error: SyntaxError", "completed"] },
  {
    name: "source of half characters",
    code: "x = '\ud800'",
    ends: ["error: (UnicodeEncodeError|SyntaxError)", "completed"],
  },
  {
    name: "source of 5 MB",
    spoils: true,
    code: `x = '${"y".repeat(5_000_000)}'; len(x)`,
    ends: ["completed", outOfMemory],
    result: "5000000",
  },
]

export function withTime(timeoutMs: number, list: readonly Attack[]): readonly Attack[] {
  // On a busy machine the interrupt may come too late for an interpreter that would have heeded it.
  return list.map((attack) => ({ timeoutMs, ...attack, ends: [...attack.ends, "died"] }))
}

export const attacks: readonly Attack[] = [
  ...timeAttacks,
  ...memoryAttacks,
  ...fileAttacks,
  ...javascriptAttacks,
  ...hostAttacks,
  ...endAttacks,
  ...runnerAttacks,
  ...engineAttacks,
]
