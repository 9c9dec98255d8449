/** What code may try that knows what it runs in: V8's own objects, Emscripten's files, the insides of CPython 3.14. Part of the list in attacks.ts. */
import type { Attack } from "./attacks.ts"

/** From a function that Python holds to the constructors of the language. */
const intrinsics = `
import gc
from pyodide.ffi import to_js
outside = next(each for each in gc.get_objects() if type(each) is dict and each.keys() == {"sleep", "report"})
prototype = lambda value: getattr(value, "__proto__")
functions = prototype(outside["sleep"])
objects = prototype(functions)
Object, Array, Bytes = objects.constructor, to_js([1]).constructor, to_js(b"1").constructor
record = lambda **fields: Object.fromEntries(to_js([[name, value] for name, value in fields.items()]))
def error():
    try: Object.defineProperty(1, 2, 3)
    except Exception as problem: return problem
`

const wasm = `
import ctypes
def leb(n): return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + leb(n >> 7)
section = lambda kind, body: bytes([kind]) + leb(len(body)) + body
memory = b"\\0asm\\1\\0\\0\\0" + section(0, b"\\x08dylink.0\\x01\\x04\\0\\0\\0\\0") + section(1, b"\\x01\\x60\\0\\0") + section(5, b"\\x01\\x00\\x80\\x7d")
`

/** The names that a process of Node and its environment would have somewhere in its memory. */
const hostWords = '[b"node_" + b"modules", b"LD_" + b"PRELOAD", b"/pack" + b"ages/", b"isolated" + b"-vm"]'

export const engineAttacks: readonly Attack[] = [
  {
    name: "a wasm module that hides behind a changed method of arrays",
    code: `${intrinsics}${wasm}
evil = to_js(memory)
Object.defineProperty(evil, "length", record(value=8))
holder = Array.of(evil)
prototype(prototype(evil)).slice = holder.at.bind(holder, 0)
import os
# A name of its own each time: the loader gives back an empty handle for a name that has failed before.
path = f"/tmp/x{len(os.listdir('/tmp'))}.so"
open(path, "wb").write(memory)
ctypes.CDLL(path)`,
    ends: ["error: OSError: .*loading native modules is disabled"],
  },
  {
    name: "an array buffer that grows in place",
    code: `${intrinsics}
buffer = to_js(b"1").buffer.constructor.new(1, record(maxByteLength=2_000_000_000))
buffer.resize(1_500_000_000)
Bytes.new(buffer).fill(1)`,
    ends: ["error: AttributeError: resize"],
  },
  {
    name: "array buffers that are moved into larger ones",
    code: `${intrinsics}to_js(b"1").buffer.transfer(1_500_000_000)`,
    ends: ["error: AttributeError: transfer"],
  },
  {
    name: "array buffers without end",
    code: `${intrinsics}
keep = []
while True: keep.append(Bytes.new(10_000_000).fill(1))`,
    ends: ["error: JsException", "died"],
    spoils: true,
  },
  {
    name: "a formatter of stack traces",
    code: `${intrinsics}
JsError = prototype(error().constructor)
JsError.prepareStackTrace = Object
hasattr(JsError, "prepareStackTrace"), JsError.name`,
    ends: ["completed"],
    result: "(False, 'Error')",
  },
  {
    name: "a longer answer for every object",
    code: `${intrinsics}
holder = Array.of("y" * 1_000_000)
objects.toJSON = holder.at.bind(holder, 0)
1`,
    ends: ["completed"],
    result: "1",
  },
  {
    name: "arrays that iterate over other values",
    code: `${intrinsics}
iterator = next(each for each in Object.getOwnPropertySymbols(Array.prototype) if "iterator" in str(each.description))
many = Array.new(1_000_000)
Object.defineProperty(Array.prototype, iterator, record(value=many.values.bind(many)))`,
    ends: ["error: JsException: TypeError: Cannot redefine"],
  },
  {
    name: "a getter on every object",
    code: `${intrinsics}objects.__defineGetter__("type", Object)`,
    ends: ["error: JsException: TypeError: Cannot define"],
  },
  {
    name: "a method of sets that lies about what was counted",
    code: `${intrinsics}
Set = to_js({1}).constructor
Set.prototype.has = Object
data = bytes(1_000_000)
for i in range(20): open(str(i), "wb").write(data)`,
    ends: ["error: OSError: .*No space left"],
    spoils: true,
  },
  {
    name: "a regular expression of JavaScript that backtracks",
    code: `${intrinsics}Object.getPrototypeOf("").match.call("a" * 40 + "b", "(a+)+$")`,
    ends: ["died: it did not stop"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "an exception of 50 MB out of the runner itself",
    code: `${intrinsics}
def report(*_): raise ValueError("x" * 50_000_000)
outside["report"] = report
1 / 0`,
    ends: ["died"],
    spoils: true,
  },
  {
    name: "Python's own interrupt handler in place of the runner's",
    code: "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nwhile True: pass",
    ends: ["timeout", "died"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "a class whose name never ends",
    code: "class M(type):\n  @property\n  def __name__(cls):\n    while True: pass\nclass E(Exception, metaclass=M): pass\nraise E",
    ends: ["error: E", "timeout", "died"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "a stream whose flush never ends",
    code: "import sys\nclass S:\n  def write(self, text): return len(text)\n  def flush(self):\n    while True: pass\nsys.stdout = S()\n8",
    ends: ["completed", "timeout", "died"],
    result: "8",
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "a callback of the garbage collector that never ends",
    code: "import gc\ndef loop(*_):\n  while True: pass\ngc.callbacks.append(loop)\ngc.collect()",
    ends: ["timeout", "completed", "died"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "a monitoring callback that never ends",
    code: "import sys\nm = sys.monitoring\nm.use_tool_id(3, 'x')\ndef loop(*_):\n  while True: pass\nm.register_callback(3, m.events.PY_START, loop)\nm.set_events(3, m.events.PY_START)\n(lambda: 0)()",
    ends: ["timeout", "died"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "an audit hook that never ends",
    code: "import sys\ndef loop(*_):\n  while True: pass\nsys.addaudithook(loop)\nopen('x')",
    ends: ["timeout", "died"],
    timeoutMs: 250,
    spoils: true,
  },
  {
    name: "handlers for the end of the interpreter",
    code: "import atexit\ndef loop():\n  while True: pass\natexit.register(loop); None",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "a script in another process, by the hook for debuggers",
    code: "import os, sys\nopen('/tmp/x.py', 'w').write('1')\nsys.remote_exec(os.getpid(), '/tmp/x.py')",
    ends: ["error: (RuntimeError|NotImplementedError|OSError|AttributeError|PermissionError)"],
  },
  {
    name: "an interpreter within the interpreter",
    code: "from concurrent import interpreters\ni = interpreters.create()\ni.exec('import os; os._exit(3)')",
    ends: ["error", "died"],
    spoils: true,
  },
  {
    name: "machine code from Python's compiler",
    code: "import sys\nsys._jit.is_available()",
    ends: ["completed", "error: AttributeError"],
    result: "False",
  },
  {
    name: "a thread of the low-level module",
    code: "import _thread\n_thread.start_joinable_thread(print)",
    ends: ["error: RuntimeError"],
  },
  {
    name: "a code object that points outside of itself",
    code: "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=bytes([128, 0, 82, 255, 35, 0]) * 2, co_consts=(), co_stacksize=1)\nf()",
    ends: ["error", "died", "completed", "timeout"],
    timeoutMs: 1000,
    spoils: true,
  },
  {
    name: "the fault handler's own faults",
    code: "import faulthandler\nfaulthandler._sigsegv()",
    ends: ["error", "died", "completed"],
    spoils: true,
  },
  {
    name: "a stack overflow of the fault handler",
    code: "import faulthandler\nfaulthandler._stack_overflow()",
    ends: ["error", "died"],
    spoils: true,
  },
  {
    name: "secrets of the host in the interpreter's memory",
    code: `import ctypes\nmemory = ctypes.string_at(1, 30_000_000)\n[word for word in ${hostWords} if word in memory]`,
    ends: ["completed"],
    result: "[]",
    spoils: true,
  },
  {
    name: "files whose names are commands to a terminal",
    code: "for name in ('\\x1b[31mred', '\\x9b31m', 'a\\u202egnp.exe', 'a\\u2066b', 'bell\\x07', 'del\\x7f'): open(name, 'w').write('x')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "files whose names are devices elsewhere",
    code: "import os\nos.mkdir('.. ')\nfor name in ('NUL', 'con.txt', 'COM1', 'end.', 'end ', '.. /x'): open(name, 'w').write('x')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "files whose endings are properties of objects",
    code: "for name in ('constructor', '__proto__', 'toString', 'valueOf'): open('x.' + name, 'w').write('x')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "an archive whose entries climb out",
    code: "import io, zipfile\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w') as z:\n  for name in ('../../etc/passwd', '/etc/shadow', '..\\\\..\\\\x'): z.writestr(name, 'x')\nzipfile.ZipFile(b).extractall()",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "links in place of files to give back",
    code: "import os\nos.symlink('/lib/python314.zip', 'lib.zip')\nos.symlink('/proc/self/fd', 'fd')\nos.symlink('/', 'root')",
    ends: ["completed"],
    spoils: true,
  },
  {
    name: "a name that is longer than any system takes",
    code: "import os\nos.makedirs('/'.join(['d' * 200] * 30))\nopen('/'.join(['d' * 200] * 30) + '/x', 'w').write('x')",
    ends: ["error: OSError", "completed", "died"],
    spoils: true,
  },
  {
    name: "a hundred thousand small pieces of output",
    code: "for i in range(100_000): print(i)",
    ends: ["completed", "timeout"],
    timeoutMs: 2000,
  },
  {
    name: "a hundred thousand pieces on both streams by turns",
    code: "import os\nfor i in range(100_000): os.write(1 + i % 2, b'\\xf0')",
    ends: ["completed", "timeout"],
    timeoutMs: 2000,
  },
  {
    name: "promises without end",
    code: `${intrinsics}Array.fromAsync(Array.new(2_000_000_000)); None`,
    ends: ["died", "completed", "error"],
    timeoutMs: 250,
    spoils: true,
  },
]
