#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The Python module on whatever engine AFSYNC_ENGINE names. Prints TAP.

    python_test.py [TEST...]

LD_LIBRARY_PATH names the folder of libafsync.so.1. The syncs of a file are stopped, counted
and made fail by afsync_sim, if AFSYNC_SIM_DIR is a filesystem of it, or by python_gate.c,
which is preloaded then. Without either only what needs no such file is tested.
"""
import asyncio
import contextlib
import ctypes
import errno
import faulthandler
import fcntl
import gc
import itertools
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "python"))
sys.dont_write_bytecode = True
INCLUDES = [os.path.join(HERE, "..", "..", "..", "..", "include", "uapi"), os.path.join(HERE, "..")]
CC = os.environ.get("CC", "cc")

import afsync  # noqa: E402

HOLD = afsync.Flags.HOLD


class SimGate:
    """The fsync of a file of afsync_sim, see selftests/sim/afsync_sim.h."""

    def __init__(self, fd):
        self.fd = fd

    def _command(self, number, count=0, error=0):
        fcntl.ioctl(self.fd, 1 << 30 | 16 << 16 | 0xAE << 8 | number,
                    struct.pack("IIiI", 0, count, error, 0))

    def hold(self):
        self._command(0)

    def let_go(self):
        self._command(1)

    def fail(self, error, count):
        self._command(3, count, error)

    def wait_started(self, count):
        self._command(4, count)

    def started(self):
        stats = bytearray(12 * 4 + 64 * 80)
        fcntl.ioctl(self.fd, 2 << 30 | len(stats) << 16 | 0xAE << 8 | 8, stats)
        return struct.unpack_from("I", stats)[0]


class PreloadGate:
    """The same by python_gate.c, for one file at a time."""
    lib = ctypes.CDLL(None)

    def __init__(self, fd):
        self.lib.gate_watch(fd)

    def hold(self):
        self.lib.gate_hold(1)

    def let_go(self):
        self.lib.gate_hold(0)

    def fail(self, error, count):
        self.lib.gate_fail(error, count)

    def wait_started(self, count):
        self.lib.gate_wait_started(count)

    def started(self):
        return self.lib.gate_wait_started(0)


SIM_DIR = os.environ.get("AFSYNC_SIM_DIR")
if SIM_DIR:
    GATE = SimGate
elif hasattr(PreloadGate.lib, "gate_watch"):
    GATE = PreloadGate
else:
    GATE = None


def open_fds():
    return set(os.listdir("/proc/self/fd"))


def c_program(body):
    """Output of a C program that prints names and numbers, as a dictionary."""
    source = ("#include <stddef.h>\n#include <stdio.h>\n#include <libafsync.h>\n"
              "int main(void)\n{\n" + body + "\treturn 0;\n}\n")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "a")
        try:
            subprocess.run([*CC.split(), "-x", "c", "-", "-o", program,
                            *(f"-I{path}" for path in INCLUDES)],
                           input=source, text=True, check=True)
        except FileNotFoundError:
            raise unittest.SkipTest("no C compiler") from None
        lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return {name: int(value) for name, value in (line.split() for line in lines.splitlines())}


class Header(unittest.TestCase):
    def test_structs_are_those_of_the_header(self):
        structs = {"afsync_cqe": afsync._Cqe, "afsync_info": afsync._Info,
                   "__kernel_timespec": afsync._Timespec}
        body, expected = "", {}
        for name, struct_type in structs.items():
            body += f'\tprintf("{name} %zu\\n", sizeof(struct {name}));\n'
            expected[name] = ctypes.sizeof(struct_type)
            for field, _ in struct_type._fields_:
                for what in ("offsetof(struct {0}, {1})", "sizeof(((struct {0} *)0)->{1})"):
                    what = what.format(name, field)
                    body += f'\tprintf("{what.replace(" ", "")} %zu\\n", {what});\n'
                member = getattr(struct_type, field)
                expected[f"offsetof(struct{name},{field})"] = member.offset
                expected[f"sizeof(((struct{name}*)0)->{field})"] = member.size
        self.assertEqual(expected, c_program(body))

    def test_constants_are_those_of_the_header(self):
        expected = {f"AFSYNC_SQE_{flag.name}": flag.value for flag in afsync.Flags if flag}
        expected["AFSYNC_CQE_MERGED"] = afsync._CQE_MERGED
        expected["AFSYNC_INIT_CLAMP"] = afsync._INIT_CLAMP
        if afsync._HAS_ENGINES:
            expected["AFSYNC_INIT_DEVICE"] = afsync._INIT_DEVICE
            expected["AFSYNC_INIT_THREADS"] = afsync._INIT_THREADS
            expected.update({f"AFSYNC_ENGINE_{engine.name}": engine.value
                             for engine in afsync.Engine})
        body = "".join(f'\tprintf("{name} %d\\n", (int){name});\n' for name in expected)
        self.assertEqual(expected, c_program(body))

    def test_prototypes_are_those_of_the_header(self):
        kinds = {"void": None, "int": ctypes.c_int, "unsigned int": ctypes.c_uint,
                 "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t}
        # c_size_t is another name of one of those.
        with open(os.path.join(INCLUDES[1], "libafsync.h"), encoding="utf-8") as header:
            text = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.S)
        text = re.sub(r"\b(struct|const)\s+", "", text)

        def kind(declaration):
            if "*" in declaration:
                return "pointer"
            words = declaration.split()
            name = " ".join(words) if " ".join(words) in kinds else " ".join(words[:-1])
            return kinds[name]

        def kind_of(ctype):
            if ctype in (ctypes.c_void_p, ctypes.c_char_p) or hasattr(ctype, "contents"):
                return "pointer"
            return ctype

        for name, prototype in afsync._PROTOTYPES.items():
            found = re.search(rf"^([\w ]+\**)\s*\bafsync_{name}\(([^)]*)\);", text, re.M)
            self.assertIsNotNone(found, name)
            arguments = [] if found[2] == "void" else found[2].split(",")
            self.assertEqual([kind(found[1]), *map(kind, arguments)],
                             [*map(kind_of, prototype)], name)

    def test_import_without_the_library_says_so(self):
        code = ("import ctypes\n"
                "def fail(name): raise OSError(name + ': no such file')\n"
                "ctypes.CDLL = fail\n"
                "try:\n\timport afsync\n"
                "except ImportError as error:\n\tassert 'libafsync.so.1' in str(error)\n"
                "else:\n\traise SystemExit(1)\n")
        environ = dict(os.environ, PYTHONPATH=os.path.dirname(afsync.__file__))
        subprocess.run([sys.executable, "-Bc", code], env=environ, check=True)


class Raised(Exception):
    """By a signal handler."""


class RingCase(unittest.TestCase):
    """Has a file whose fsync is under control, and another one."""
    names = itertools.count()

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_DIR"))
        self.addCleanup(lambda: os.rmdir(self.folder))
        self.other = self.new_file(self.folder)
        if GATE:
            self.fd = self.new_file(SIM_DIR or self.folder)
            self.gate = GATE(self.fd)
            self.addCleanup(self.gate.let_go)

    def new_file(self, folder):
        path = os.path.join(folder, f"python-{os.getpid()}-{next(self.names)}")
        # In afsync_sim a name is a file for good after its first lookup.
        create = 0 if folder == SIM_DIR else os.O_CREAT | os.O_EXCL
        fd = os.open(path, os.O_RDWR | create, 0o600)
        if create:
            self.addCleanup(os.unlink, path)
        self.addCleanup(os.close, fd)
        os.write(fd, b"data")
        return fd

    @contextlib.contextmanager
    def fails(self, number):
        with self.assertRaises(OSError) as caught:
            yield
        self.assertEqual(number, caught.exception.errno)

    @contextlib.contextmanager
    def ring(self, *arguments):
        """A ring that does not wait for the gate if the test has failed."""
        with afsync.Ring(*arguments) as ring:
            try:
                yield ring
            except BaseException:
                self.gate.let_go()
                raise

    def running(self, ring):
        """A request that runs until the gate lets it go."""
        before = self.gate.started()
        self.gate.hold()
        request = ring.fsync(self.fd)
        ring.submit()
        self.gate.wait_started(before + 1)
        return request

    def signal_main_thread(self, ring, ran, count=1):
        """Send it SIGUSR1 while it waits for @ring until the handler, which appends to @ran, has
        run @count times. One that arrives just before the system call does not interrupt it."""
        while len(ran) < count:
            if ring._leading:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            os.sched_yield()

    def handle(self, handler):
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.signal(signal.SIGUSR1, handler))

    def raise_once(self):
        """A handler of SIGUSR1 that raises when it runs first. Returns the list that tells."""
        ran = []

        def handler(*_):
            ran.append(True)
            if len(ran) == 1:
                raise Raised

        self.handle(handler)
        return ran

    def in_thread(self, function):
        """Run it in a thread. What is returned, and is called at the end of the test in any
        case, waits for the thread and raises what it raised."""
        errors = []

        def run():
            try:
                function()
            except BaseException as error:
                errors.append(error)

        def join():
            thread.join()
            if errors:
                raise errors[0]

        thread = threading.Thread(target=run)
        self.addCleanup(join)
        thread.start()
        return join


class Plain(RingCase):
    def test_engine_is_the_one_that_was_asked_for(self):
        with afsync.Ring() as ring:
            engine = ring.engine
            with afsync.Ring(engine=engine) as same:
                self.assertIs(engine, same.engine)
        wanted = os.environ.get("AFSYNC_ENGINE")
        if wanted:
            self.assertEqual(wanted.upper(), engine.name)

    def test_info_and_version_tell_what_is_there(self):
        self.assertRegex(afsync.version(), r"^\d+\.\d+\.\d+$")
        info = afsync.info()
        if os.path.exists("/dev/afsync"):
            self.assertGreaterEqual(info.version, 1)
            self.assertGreaterEqual(info.max_entries, 1)
        else:
            self.assertEqual(0, info.version)

    def test_end_of_a_block_waits_for_all(self):
        with afsync.Ring(4) as ring:
            requests = [ring.fsync(self.other) for _ in range(20)]
            requests += [ring.fdatasync(self.other, 1, 2), ring.fsync(self.other, 4096),
                         ring.syncfs(self.other)]
            self.assertFalse(any(request.done for request in requests))
        self.assertEqual([None] * 23, [request.error for request in requests])

    def test_refused_request_is_done_and_the_others_go_on(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        with afsync.Ring() as ring:
            requests = [ring.fsync(self.other), ring.fsync(-1), ring.fdatasync(writer),
                        ring.fsync(self.other), ring.syncfs(self.other, afsync.Flags(1 << 31))]
            done = ring.wait(5)
            self.assertEqual(set(requests), set(done))
            self.assertEqual([0, errno.EBADF, errno.EINVAL, 0, errno.EINVAL],
                             [request.error.errno if request.error else 0 for request in requests])
        with self.fails(errno.EBADF), afsync.Ring() as ring:
            ring.fsync(-1)

    def test_ring_keeps_a_file_until_the_request_is_queued(self):
        before = open_fds()
        with afsync.Ring() as ring:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                request = ring.fsync(os.fdopen(os.dup(self.other), "rb"))
                gc.collect()
                ring.submit()
                self.assertTrue(request.queued)
                gc.collect()
            request.wait()
        self.assertEqual(before, open_fds())

    def test_numbers_that_do_not_fit_are_refused(self):
        with afsync.Ring() as ring:
            for arguments in ((1 << 31,), (0, -1), (0, 0, 1 << 64), (0, 0, 0, 1 << 32),
                              (0, 0, 0, 0, -1)):
                with self.assertRaises(OverflowError):
                    ring.fsync(*arguments)
            with self.fails(errno.EINVAL):
                ring.fsync(self.other, 1 << 63, 1).wait()
        with self.assertRaises(OverflowError):
            afsync.Ring(1 << 32 | 1)
        with self.fails(errno.EINVAL):
            afsync.Ring(0)
        with afsync.Ring(1 << 30, clamp=True) as ring:
            self.assertGreaterEqual(ring.entries, 1)

    def test_closed_ring_refuses_and_has_no_descriptor(self):
        before = open_fds()
        ring = afsync.Ring()
        request = ring.fsync(self.other)
        ring.close()
        ring.close()
        self.assertEqual(errno.ECANCELED, request.error.errno)
        for call in (ring.fileno, ring.submit, ring.cancel, lambda: ring.fsync(self.other)):
            with self.assertRaises(ValueError):
                call()
        self.assertEqual(before, open_fds())

    def test_collected_ring_warns_and_has_no_descriptor(self):
        before = open_fds()
        with self.assertWarns(ResourceWarning):
            # The request and the ring refer to each other.
            request = afsync.Ring().fsync(self.other)
            request._ring.submit()
            del request
            gc.collect()
        self.assertEqual(before, open_fds())

    def test_request_keeps_its_ring(self):
        request = afsync.Ring().fsync(self.other)
        gc.collect()
        request.wait()
        request._ring.close()

    def test_held_request_waits_for_its_start(self):
        with afsync.Ring() as ring:
            held, never = ring.fsync(self.other, flags=HOLD), ring.fsync(self.other, flags=HOLD)
            ring.finish()
            self.assertTrue(held.queued)
            self.assertFalse(held.done)
            with self.assertRaises(RuntimeError):
                held.error
            held.start()
            held.wait()
            with self.fails(errno.ENOENT):
                held.start()
            at_once = ring.fsync(self.other, flags=HOLD)
            at_once.start()
            at_once.wait()
        self.assertEqual(errno.ECANCELED, never.error.errno)

    def test_ring_full_of_held_requests_has_room_for_no_other(self):
        with afsync.Ring(2) as ring:
            held = [ring.fsync(self.other, flags=HOLD) for _ in range(ring.entries)]
            ring.submit()
            with self.assertRaises(BlockingIOError):
                ring.fsync(self.other).wait()
            late = ring.fsync(self.other)
            with self.assertRaises(BlockingIOError):
                ring.submit()
            for request in held:
                request.start()
            ring.finish()
            self.assertEqual([None, None, None], [request.error for request in (*held, late)])

    def test_child_has_no_ring_and_leaves_that_of_its_parent(self):
        with afsync.Ring() as ring:
            request = ring.fsync(self.other, flags=HOLD)
            ring.submit()
            with warnings.catch_warnings():
                # Newer Pythons warn if there is another thread.
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:
                status = 1
                with contextlib.suppress(BaseException):
                    try:
                        ring.fsync(self.other)
                    except ValueError:
                        ring.close()
                        del ring
                        gc.collect()
                        status = 0
                os._exit(status)
            self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            request.start()
            request.wait()

    def test_ring_whose_descriptor_is_lost_can_be_closed(self):
        ring = afsync.Ring()
        if ring.engine is afsync.Engine.THREADS:
            ring.close()
            self.skipTest("the threads engine needs no descriptor")
        request = ring.fsync(self.other, flags=HOLD)
        ring.submit()
        os.close(ring.fileno())
        with self.fails(errno.EBADF):
            ring.fsync(self.other).wait()
        with self.fails(errno.EBADF):
            request.start()
        ring.close()
        self.assertEqual(errno.EBADF, request.error.errno)


@unittest.skipUnless(GATE, "no afsync_sim and no preloaded gate")
class Gated(RingCase):
    def test_error_reaches_only_its_request(self):
        with self.ring() as ring:
            for number in (errno.EIO, errno.ENOSPC):
                self.gate.fail(number, 1)
                with self.fails(number):
                    ring.fsync(self.fd).wait()
                ring.fsync(self.fd).wait()
        self.assertEqual(4, self.gate.started())

    def test_end_of_a_block_raises_the_errors_that_nobody_saw(self):
        self.gate.fail(errno.EIO, 2)
        with self.fails(errno.EIO), afsync.Ring() as ring:
            ring.fsync(self.fd)
        with self.ring() as ring:
            request = ring.fsync(self.fd)
            self.assertEqual([request], ring.wait())
            self.assertEqual(errno.EIO, request.error.errno)

    def test_exception_cancels_what_does_not_run(self):
        join = None
        with self.assertRaises(KeyError):
            with afsync.Ring() as ring:
                first = self.running(ring)
                second, third = ring.fsync(self.fd), ring.fsync(self.fd)
                ring.submit()

                def let_go_when_cancelled():
                    with self.fails(errno.ECANCELED):
                        second.wait()
                    self.gate.let_go()

                join = self.in_thread(let_go_when_cancelled)
                raise KeyError
        join()
        self.assertIsNone(first.error)
        self.assertEqual(errno.ECANCELED, third.error.errno)
        self.assertEqual(1, self.gate.started())

    def test_cancel_takes_back_what_does_not_run(self):
        with self.ring() as ring:
            running = self.running(ring)
            queued = ring.fsync(self.fd)
            ring.submit()
            prepared = ring.fsync(self.fd)
            self.assertFalse(running.cancel())
            self.assertTrue(prepared.cancel())
            self.assertTrue(queued.cancel())
            with self.fails(errno.ECANCELED):
                queued.wait()
            self.assertFalse(queued.cancel())
            self.gate.let_go()
            running.wait()
            self.assertFalse(running.cancel())
            self.assertEqual(errno.ECANCELED, prepared.error.errno)
        self.assertEqual(1, self.gate.started())

    def test_one_sync_serves_all_that_wait_for_it(self):
        with self.ring() as ring:
            self.running(ring)
            late = [ring.fsync(self.fd) for _ in range(10)]
            ring.submit()
            self.gate.let_go()
            ring.finish()
            self.assertEqual(2, self.gate.started())
            self.assertEqual(9, sum(request.merged for request in late))

    def test_timeout_leaves_the_request_running(self):
        with self.ring() as ring:
            request = self.running(ring)
            for timeout in (0, 1e-3):
                with self.assertRaises(TimeoutError) as caught:
                    request.wait(timeout)
                self.assertEqual(errno.ETIME, caught.exception.errno)
                with self.fails(errno.ETIME):
                    ring.wait(timeout=timeout)
                with self.fails(errno.ETIME):
                    ring.finish(timeout)
            self.gate.let_go()
            request.wait(3600)

    def test_full_ring_takes_the_rest_later(self):
        with self.ring(2) as ring:
            self.gate.hold()
            requests = [ring.fsync(self.fd) for _ in range(7)]
            for _ in range(2):
                with self.assertRaises(BlockingIOError):
                    ring.submit()
            self.assertEqual([True] * 2 + [False] * 5, [request.queued for request in requests])
            self.gate.let_go()
            requests[6].wait()
            self.assertEqual(7, len(ring.wait(7)) + 1)

    def test_wait_does_not_submit_what_others_have_prepared(self):
        with self.ring() as ring:
            prepared = ring.fsync(self.fd)
            ring.fsync(self.other).wait()
            self.assertFalse(prepared.queued)
            self.assertEqual(0, self.gate.started())
            self.assertTrue(prepared.cancel())

    def test_signal_handler_that_raises_ends_a_wait(self):
        ran = self.raise_once()
        with self.ring() as ring:
            request = self.running(ring)
            with self.assertRaises(Raised):
                self.in_thread(lambda: self.signal_main_thread(ring, ran))
                request.wait()
            self.gate.let_go()
            request.wait()

    def test_thread_that_leaves_lets_another_one_lead(self):
        ran = self.raise_once()
        with self.ring() as ring:
            request = self.running(ring)

            def follow():
                while not ring._leading:
                    os.sched_yield()
                request.wait()

            def signal_when_both_wait():
                while not ring._changed._waiters:
                    os.sched_yield()
                self.signal_main_thread(ring, ran)

            with self.assertRaises(Raised):
                joins = [self.in_thread(follow), self.in_thread(signal_when_both_wait)]
                request.wait()
            while not ring._leading:
                os.sched_yield()
            self.gate.let_go()
            for join in joins:
                join()

    def test_only_the_thread_that_waits_reads(self):
        with self.ring() as ring:
            request = ring.fsync(self.fd)
            ring.submit()
            wait = afsync._lib.afsync_wait_cqes_until
            self.assertEqual(0, wait(ring._handle, None, 1, None, None))
            with ring._changed:
                ring._leading = True
                ring._advance()
                self.assertFalse(request.done)
                ring._leading = False
                ring._advance()
                self.assertTrue(request.done)

    def test_wait_goes_on_after_another_signal_handler(self):
        ran = []

        def handler(*_):
            ran.append(True)
            if len(ran) == 50:
                self.gate.let_go()

        self.handle(handler)
        with self.ring() as ring:
            request = self.running(ring)
            self.in_thread(lambda: self.signal_main_thread(ring, ran, 50))
            request.wait()
        self.assertLessEqual(50, len(ran))

    def test_threads_wait_together(self):
        with self.ring(8) as ring:
            def work():
                for _ in range(20):
                    ring.fsync(self.fd).wait()

            joins = [self.in_thread(work) for _ in range(8)]
            for join in joins:
                join()

    def test_threads_that_wait_see_the_ring_closed(self):
        ring = afsync.Ring()
        running = self.running(ring)
        queued = ring.fsync(self.fd)
        joins = [self.in_thread(lambda: running.wait(None))]

        def waits_and_lets_go():
            with self.fails(errno.ECANCELED):
                queued.wait()
            self.gate.let_go()

        joins.append(self.in_thread(waits_and_lets_go))
        ring.submit()
        ring.close()
        for join in joins:
            join()
        self.assertIsNone(running.error)


@unittest.skipUnless(GATE, "no afsync_sim and no preloaded gate")
class Async(RingCase):
    def no_reader(self, loop, ring):
        self.assertFalse(loop.remove_reader(ring.fileno()))

    def test_await_returns_when_the_data_is_durable(self):
        async def main():
            async with afsync.Ring(4) as ring:
                await ring.fsync(self.fd)
                await asyncio.gather(*(ring.fdatasync(self.fd) for _ in range(20)))
                self.gate.fail(errno.EIO, 1)
                with self.fails(errno.EIO):
                    await ring.fsync(self.fd)
                with self.fails(errno.EBADF):
                    await ring.fsync(-1)
                self.no_reader(asyncio.get_running_loop(), ring)
        asyncio.run(main())

    def test_loop_goes_on_while_the_sync_runs(self):
        async def main():
            async with afsync.Ring() as ring:
                self.gate.hold()
                task = asyncio.ensure_future(ring.fsync(self.fd))
                await asyncio.to_thread(self.gate.wait_started, 1)
                self.assertFalse(task.done())
                self.gate.let_go()
                await task
        asyncio.run(main())

    def test_cancelled_task_cancels_its_request(self):
        async def main():
            async with afsync.Ring() as ring:
                running = self.running(ring)
                queued = ring.fsync(self.fd)
                task = asyncio.ensure_future(queued)
                while not queued.queued:
                    await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.no_reader(asyncio.get_running_loop(), ring)
                self.gate.let_go()
                await running
                with self.fails(errno.ECANCELED):
                    await queued
        asyncio.run(main())
        self.assertEqual(1, self.gate.started())

    def test_cancelled_task_leaves_a_sync_that_runs(self):
        async def main():
            async with afsync.Ring(1) as ring:
                with self.assertRaises(asyncio.TimeoutError):
                    request = self.running(ring)
                    await asyncio.wait_for(request, 1e-3)
                self.assertFalse(request.done)
                # Its entry is free when it is done, even if no caller waits for it.
                task = asyncio.ensure_future(ring.fsync(self.other))
                await asyncio.sleep(0)
                self.gate.let_go()
                await task
                self.assertIsNone(request.error)
        asyncio.run(main())

    def test_request_of_two_tasks_is_cancelled_with_the_last(self):
        async def main():
            async with afsync.Ring() as ring:
                running = self.running(ring)
                shared = ring.fsync(self.fd)
                tasks = [asyncio.ensure_future(shared) for _ in range(2)]
                while not shared._users == 2:
                    await asyncio.sleep(0)
                tasks[0].cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await tasks[0]
                self.gate.let_go()
                await tasks[1]
                await running
        asyncio.run(main())
        self.assertEqual(2, self.gate.started())

    def test_end_of_an_async_block_waits_and_raises(self):
        async def main():
            self.gate.fail(errno.EIO, 1)
            with self.fails(errno.EIO):
                async with afsync.Ring() as ring:
                    ring.fsync(self.fd)
            with self.assertRaises(KeyError):
                async with afsync.Ring() as ring:
                    running = self.running(ring)
                    queued = ring.fsync(self.fd)
                    ring.submit()
                    task = asyncio.ensure_future(queued)
                    task.add_done_callback(lambda _: self.gate.let_go())
                    raise KeyError
            self.assertIsNone(running.error)
            with self.fails(errno.ECANCELED):
                await task
        asyncio.run(main())

    def test_close_wakes_the_tasks_of_the_same_thread(self):
        async def main():
            ring = afsync.Ring()
            task = asyncio.ensure_future(ring.fsync(self.fd, flags=HOLD))
            while not ring._loops:
                await asyncio.sleep(0)
            loop, fd = asyncio.get_running_loop(), ring.fileno()
            with self.assertRaises(RuntimeError):
                await asyncio.to_thread(ring.close)
            ring.close()
            self.assertFalse(loop.remove_reader(fd))
            with self.fails(errno.ECANCELED):
                await task
        asyncio.run(main())

    def test_loops_and_threads_use_one_ring_together(self):
        with afsync.Ring(4) as ring:
            async def task():
                for _ in range(10):
                    await ring.fsync(self.fd)

            async def main():
                await asyncio.gather(*(task() for _ in range(4)))

            def thread():
                for _ in range(10):
                    ring.fsync(self.fd).wait()

            joins = [self.in_thread(lambda: asyncio.run(main())) for _ in range(2)]
            joins += [self.in_thread(thread) for _ in range(3)]
            for join in joins:
                join()

    def test_loop_that_ended_leaves_the_ring_usable(self):
        with afsync.Ring() as ring:
            self.running(ring)

            async def main():
                asyncio.ensure_future(ring.fsync(self.fd))
                while not ring._loops:
                    await asyncio.sleep(0)
            asyncio.run(main())
            self.assertEqual({}, ring._loops)
            self.gate.let_go()
            ring.fsync(self.fd).wait()


class Tap(unittest.TestResult):
    """Prints a line of TAP for each test."""
    count = 0

    def line(self, word, test, more=""):
        Tap.count += 1
        print(f"{word} {Tap.count} {test.id().partition('.')[2]}{more}", flush=True)

    def addSuccess(self, test):
        self.line("ok", test)

    def addSkip(self, test, reason):
        self.line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print("# " + self.failures[-1][1].replace("\n", "\n# "))
        self.line("not ok", test)

    def addError(self, test, err):
        super().addFailure(test, err)
        print("# " + self.failures[-1][1].replace("\n", "\n# "))
        self.line("not ok", test)


def run():
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    if sys.argv[1:]:
        tests = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:], sys.modules[__name__])
    # Long after everything: a hanging test prints where it is.
    faulthandler.dump_traceback_later(600, exit=True)
    print(f"TAP version 13\n1..{tests.countTestCases()}", flush=True)
    result = Tap()
    tests.run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(run())
