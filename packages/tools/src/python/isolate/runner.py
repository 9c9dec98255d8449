# Runs inside the interpreter: executes one piece of code in a namespace that stays, shows the last expression as IPython does,
# and reports failures as text. It reports through `report(field, text)`, a function outside of Python; nothing that it says is trusted there.
import ast, asyncio, asyncio.base_events, asyncio.events, inspect, io, linecache, os, random, signal, sys, time, traceback, types


def make_runner():
    namespace = sys.modules["__main__"].__dict__
    cells = 0
    outside = {}
    # Kept here so that user code that replaces a builtin or a module attribute does not break the runner itself.
    parse, compile_, evaluate, isinstance_, type_, str_, repr_, len_ = ast.parse, compile, eval, isinstance, type, str, repr, len
    monotonic, is_coroutine = time.monotonic, inspect.CO_COROUTINE
    TracebackException, flags = traceback.TracebackException, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    Expr, Expression, lines_of = ast.Expr, ast.Expression, linecache.cache
    name_of = type.__dict__["__name__"].__get__  # a class may say something else by itself, or nothing for a long time

    def stream(descriptor, errors):
        return io.TextIOWrapper(
            io.FileIO(descriptor, "w", closefd=False), encoding="utf-8", errors=errors, line_buffering=True, newline="\n"
        )

    out, err = stream(1, "backslashreplace"), stream(2, "backslashreplace")

    def reset_streams():
        nonlocal out, err
        if out.closed: out = stream(1, "backslashreplace")
        if err.closed: err = stream(2, "backslashreplace")
        sys.stdout = sys.__stdout__ = out
        sys.stderr = sys.__stderr__ = err

    def sleep(seconds, /):
        if seconds < 0: raise ValueError("sleep length must be non-negative")
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0: doze(left)

    def doze(seconds):
        outside["sleep"](min(seconds * 1000, 20))
        repr_(None)  # CPython looks for interrupts here; in a loop of few calls it does so rarely

    class Selector:
        """There is nothing to select from: waits until the time is over or an interrupt has made something ready."""
        def __init__(self, loop): self.loop = loop
        def select(self, timeout=None):
            if timeout is None: raise RuntimeError("deadlock: the event loop has nothing left to wait for")
            end = monotonic() + timeout
            while not self.loop._ready and (left := end - monotonic()) > 0: doze(left)
            return []
        def close(self): pass

    class Loop(asyncio.base_events.BaseEventLoop):
        def __init__(self):
            super().__init__()
            self._selector = Selector(self)
        def _process_events(self, events): pass
        def _write_to_self(self): pass

    Runner, get_loop, set_loop = asyncio.Runner, asyncio.events._get_running_loop, asyncio.events._set_running_loop

    def run_coroutine(main, *, debug=None, loop_factory=None):
        before = get_loop()
        set_loop(None)
        try:
            with Runner(debug=debug, loop_factory=loop_factory or Loop) as runner: return runner.run(main)
        finally:
            set_loop(before)

    time.sleep = sleep
    asyncio.run = run_coroutine

    heeds, waiting = False, False

    def on_interrupt(number, frame):
        """In the runner itself an interrupt would cost the whole session: it waits there until user code goes on."""
        nonlocal waiting
        if heeds: raise KeyboardInterrupt
        waiting = True

    def heeding(work):
        """Runs what may be user code: interrupts are raised there and nowhere else."""
        nonlocal heeds, waiting
        heeds = True
        try:
            if waiting:
                waiting = False
                raise KeyboardInterrupt
            return work()
        finally:
            heeds = False

    def execute(code):
        value = evaluate(code, namespace)
        if code.co_flags & is_coroutine: value = run_coroutine(value)
        return value

    def ends_with_semicolon(source, last):
        lines = source.encode("utf-8").splitlines()
        return lines[last.end_lineno - 1][last.end_col_offset:].lstrip().startswith(b";")

    def run(source, limit):
        nonlocal cells, waiting
        cells += 1
        name = f"<cell {cells}>"
        lines_of[name] = (len_(source), None, source.splitlines(True), name)
        lines_of.pop(f"<cell {cells - 200}>", None)
        reset_streams()
        try:
            heeding(lambda: run_cell(source, name, limit))
        except BaseException as error:
            describe(error, name, limit)
        finally:
            waiting = False
            for each in (sys.stdout, sys.stderr, out, err):
                try: heeding(lambda: each.flush())
                except BaseException: pass
            waiting = False

    def run_cell(source, name, limit):
        tree = parse(source, name)
        last = tree.body.pop() if tree.body and isinstance_(tree.body[-1], Expr) else None
        hidden = last is not None and ends_with_semicolon(source, last)
        execute(compile_(tree, name, "exec", flags))
        if last is None: return
        value = execute(compile_(Expression(last.value), name, "eval", flags))
        if value is None or hidden: return
        text = repr_(value)
        outside["report"]("result", text if len_(text) <= limit else text[:limit] + "…")
        namespace["___"], namespace["__"], namespace["_"] = namespace.get("__"), namespace.get("_"), value

    def describe(error, name, limit):
        """Type and message, and the traceback from the user's first frame on; the cell that just ran is called <stdin>."""
        report = outside["report"]
        kind = name_of(type_(error))[:200]
        try:
            message = heeding(lambda: str_(error)[:limit])
        except BaseException:
            message = "<no message: __str__ failed>"
        report("error", f"{kind}: {message}" if message else kind)
        report("kind", kind if kind in ("KeyboardInterrupt", "SystemExit", "MemoryError", "RecursionError") else "Exception")
        try:
            text = heeding(lambda: traceback_text(error, name))
        except BaseException:
            text = f"{kind}: {message}"
        report("traceback", text if len_(text) <= limit else text[: limit // 2] + "\n…\n" + text[-limit // 2 :])

    def traceback_text(error, name):
        frames = error.__traceback__
        while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell "): frames = frames.tb_next
        seen, parts = set(), [TracebackException(type_(error), error, frames, limit=-40, compact=True)]
        whole = parts[0]
        while parts:
            part = parts.pop()
            if part is None or id(part) in seen: continue
            seen.add(id(part))
            for frame in part.stack:
                frame.colno = frame.end_colno = None
                if frame.filename == name: frame.filename = "<stdin>"
            if getattr(part, "filename", None) == name: part.filename = "<stdin>"
            parts += [part.__cause__, part.__context__, *(part.exceptions or ())]
        return "".join(whole.format())

    def attach(sleep_outside, report_outside):
        """Once per sandbox, after the snapshot was restored: new randomness, and nothing left of the way to the host's objects."""
        outside["sleep"], outside["report"] = sleep_outside, report_outside
        random.seed()
        signal.signal(signal.SIGINT, on_interrupt)
        for name in list(sys.modules):
            if name.partition(".")[0] in ("js", "pyodide_js", "_chasqui"): del sys.modules[name]
        from _pyodide._importhook import jsfinder

        jsfinder.jsproxies.clear()
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not jsfinder]

    def install(wheels, imports):
        """Before hardening: unpacks wheels and loads their native modules, which nothing can do afterwards."""
        import ctypes, importlib, pathlib, sysconfig, zipfile

        target = sysconfig.get_path("purelib")
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive: archive.extractall(target)
            os.unlink(wheel)
        importlib.invalidate_caches()
        # A library may need another one: what fails is tried again as long as anything succeeds.
        waiting = sorted(str(path) for path in pathlib.Path(target).rglob("*.so"))
        while waiting:
            failed, problem = [], None
            for path in waiting:
                try: ctypes.CDLL(path)
                except OSError as error: failed, problem = failed + [path], error
            if len(failed) == len(waiting): raise ImportError(f"{failed[0]} cannot be loaded: {problem}")
            waiting = failed
        for name in imports: importlib.import_module(name)

    return attach, run, install


# A module of its own, taken out of sys.modules once its two functions are held outside.
module = types.ModuleType("_chasqui")
module.attach, module.run, module.install = make_runner()
sys.modules["_chasqui"] = module
