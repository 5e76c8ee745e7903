# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""libafsync for Python: queue a sync, continue, and find out later that the data is durable.

    with afsync.Ring() as ring:
        for file in files:
            ring.fsync(file)
    # All are durable now. An error of one of them was raised as an OSError.

    async with afsync.Ring() as ring:
        await ring.fsync(file)

The methods fsync(), fdatasync() and syncfs() of a ring prepare a Request. submit() queues
the prepared requests; every wait, and an await, first queues the requests that it waits for. A
sync covers everything that was written before its request was queued, and the file may be closed
after that. A request that libafsync refuses is done, with that error. The ring keeps a request
that is done until the program has read its result.

Every thread may use a ring, and several threads and event loops may use one together. In a
child made by fork() the ring is closed.
"""
from __future__ import annotations

import asyncio
import ctypes
import enum
import errno
import itertools
import os
import threading
import time
import warnings
import weakref
from typing import Any, Callable, Generator, NamedTuple, Optional, Protocol, Union

__all__ = ["Engine", "Flags", "Info", "Request", "Ring", "info", "version"]


class Engine(enum.IntEnum):
    """The engine that runs the syncs: /dev/afsync, or threads of the library."""
    DEVICE = 0
    THREADS = 1


class Flags(enum.IntFlag):
    """AFSYNC_SQE_*: see afsync_sqe_set_flags(3)."""
    NONE = 0
    DRAIN = 1
    WRITABLE = 2
    HOLD = 4


class Info(NamedTuple):
    """Features and limits of the module, see struct afsync_info. Version 0: no device."""
    version: int
    ops: int
    sqe_flags: int
    wait_flags: int
    cancel_match: int
    max_entries: int
    max_user_requests: int
    workers_per_fs: int


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


File = Union[int, _HasFileno]


class _Cqe(ctypes.Structure):
    _fields_ = [("user_data", ctypes.c_uint64), ("res", ctypes.c_int32), ("flags", ctypes.c_uint32)]


class _Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in Info._fields]


class _Timespec(ctypes.Structure):
    _fields_ = [("tv_sec", ctypes.c_int64), ("tv_nsec", ctypes.c_int64)]


_INIT_CLAMP, _INIT_DEVICE, _INIT_THREADS = 1 << 2, 1 << 3, 1 << 4
_CQE_MERGED = 1 << 0

_P, _I, _U, _U64 = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint64
# Result and arguments of each function.
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "queue_init": (_I, _U, ctypes.POINTER(_P), _U), "queue_exit": (None, _P),
    "ring_fd": (_I, _P), "ring_entries": (_U, _P), "get_sqe": (_P, _P),
    "prep_fsync_range": (None, _P, _I, _U64, _U64),
    "prep_fdatasync_range": (None, _P, _I, _U64, _U64), "prep_syncfs": (None, _P, _I),
    "sqe_set_data64": (None, _P, _U64), "sqe_set_flags": (None, _P, _U),
    "sqe_set_ioprio": (None, _P, _U), "submit": (_I, _P), "sq_ready": (_U, _P),
    "sq_drop": (_I, _P, _P, ctypes.c_size_t), "start": (_I, _P, _U64),
    "peek_cqe": (_I, _P, ctypes.POINTER(ctypes.POINTER(_Cqe))),
    "cqe_seen": (None, _P, ctypes.POINTER(_Cqe)), "cancel": (_I, _P, _U64), "cancel_all": (_I, _P),
    "wait_cqes_until": (_I, _P, _P, _U, ctypes.POINTER(_Timespec), _P),
    "get_info": (_I, ctypes.POINTER(_Info), ctypes.c_size_t), "version": (ctypes.c_char_p,),
}


def _load() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libafsync.so.1")
    except OSError as error:
        raise ImportError(str(error)) from error
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(lib, "afsync_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


_lib = _load()
# Since 1.4; before that there is only the device.
_HAS_ENGINES = hasattr(_lib, "afsync_ring_engine")
_rings: weakref.WeakSet[Ring] = weakref.WeakSet()


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _check(ret: int) -> int:
    if ret < 0:
        raise _error(-ret)
    return ret


# ctypes cuts off bits that do not fit.
def _unsigned(value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{value} is not a number of {bits} bits without a sign")
    return value


def version() -> str:
    """Version of the library."""
    return str(_lib.afsync_version().decode())


def info() -> Info:
    """Features and limits of the module."""
    answer = _Info()
    _check(_lib.afsync_get_info(answer, ctypes.sizeof(answer)))
    return Info(*(getattr(answer, name) for name in Info._fields))


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Request:
    """A request for a sync. Await it, or wait() for it."""

    def __init__(self, ring: Ring, file: File, prepare: Callable[..., None],
                 span: tuple[int, ...], flags: Flags, ioprio: int) -> None:
        self._ring, self._prepare, self._span = ring, prepare, span
        self._flags, self._ioprio = _unsigned(flags, 32), _unsigned(ioprio, 32)
        self.fd = file if isinstance(file, int) else file.fileno()
        if not -1 << 31 <= self.fd < 1 << 31:
            raise OverflowError(f"{self.fd} is not a descriptor")
        # Until it is queued: a file with no other reference would be closed.
        self._file: Optional[File] = file
        self._token = next(ring._tokens)
        self._held = bool(flags & Flags.HOLD)
        self._res: Optional[int] = None
        self._users = 0             # that wait for it
        self._forgotten = False     # those that did were cancelled
        self._waiters: list[tuple[asyncio.AbstractEventLoop, int, asyncio.Future[None]]] = []
        #: A sync that ran for another request served this one.
        self.merged = False
        #: libafsync has the request, and the file may be closed.
        self.queued = False

    @property
    def done(self) -> bool:
        return self._res is not None

    @property
    def error(self) -> Optional[OSError]:
        """How it ended: None if the data is durable. RuntimeError if it is not done."""
        if self._res is None:
            raise RuntimeError("the request is not done")
        self._ring._done.pop(self._token, None)
        return _error(-self._res) if self._res else None

    def _take(self) -> None:
        error = self.error
        if error:
            raise error

    def wait(self, timeout: Optional[float] = None) -> None:
        """Submit it if necessary, and return when it is done, or raise its error."""
        with self._ring._changed:
            if not self.done:
                self._ring._want([self])
            self._users += 1
            self._forgotten = False
        try:
            self._ring._until(lambda: self.done, timeout)
        finally:
            with self._ring._changed:
                self._users -= 1
        self._take()

    def cancel(self) -> bool:
        """Cancel it. False if it is done or a sync serves it already."""
        with self._ring._changed:
            return self._ring._cancel(self)

    def start(self) -> None:
        """Queue a held request: the sync covers everything that was written before this."""
        ring = self._ring
        with ring._changed:
            ring._want([self])
            if not ring._push() and not self.queued:
                raise _error(errno.EAGAIN)
            if self._res:
                self._take()
            _check(_lib.afsync_start(ring._open(), self._token))
            self._held = False

    async def _until_done(self) -> None:
        ring, loop = self._ring, asyncio.get_running_loop()
        with ring._changed:
            if not self.done:
                ring._want([self])
                ring._advance()
            if self.done:
                return
            waiter = (loop, threading.get_ident(), loop.create_future())
            ring._attach(loop)
            self._waiters.append(waiter)
            self._users += 1
            self._forgotten = False
        try:
            await waiter[2]
        finally:
            with ring._changed:
                self._waiters.remove(waiter)
                self._users -= 1
                ring._detach(loop)
                # The last one was cancelled.
                if not self.done and not self._users:
                    self._forgotten = True
                    ring._cancel(self)

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._until_done().__await__()
        self._take()


class Ring:
    """A queue of syncs. With `with` and `async with`, a block that ends well waits for all
    requests except held ones, and raises the first error that was not read; one that ends
    with an exception cancels them."""

    def __init__(self, entries: int = 64, engine: Optional[Engine] = None,
                 clamp: bool = False) -> None:
        """@entries: requests in flight at once; with @clamp at most as many as allowed.
        @engine: None uses the device where it can be opened."""
        self._handle: Optional[int] = None
        flags = _INIT_CLAMP if clamp else 0
        if engine is not None and (_HAS_ENGINES or engine is Engine.THREADS):
            flags |= _INIT_THREADS if engine is Engine.THREADS else _INIT_DEVICE
        handle = ctypes.c_void_p()
        _check(_lib.afsync_queue_init(_unsigned(entries, 32), handle, flags))
        self._handle = handle.value
        _rings.add(self)
        #: The engine that runs the syncs.
        self.engine = Engine(_lib.afsync_ring_engine(handle) if _HAS_ENGINES else Engine.DEVICE)
        self.entries = int(_lib.afsync_ring_entries(self._handle))
        # Guards all below, and is notified when requests are done or no thread leads.
        self._changed = threading.Condition(threading.Lock())
        self._leading = False       # a thread waits in the library; it alone reads
        self._closing = False
        self._tokens = itertools.count(1)
        # Every request is in one of these, by its token, until its result was read.
        self._prepared: dict[int, Request] = {}
        self._wanted: dict[int, Request] = {}   # submitted, but not queued yet
        self._queued: dict[int, Request] = {}
        self._done: dict[int, Request] = {}
        self._offered = 0           # of the wanted ones, how many the library has prepared
        self._loops: dict[asyncio.AbstractEventLoop, tuple[int, int]] = {}

    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("the ring is closed")
        return self._handle

    def fileno(self) -> int:
        """Descriptor of the ring, which belongs to it: see afsync_ring_fd(3)."""
        return _check(_lib.afsync_ring_fd(self._open()))

    def _request(self, file: File, prepare: Callable[..., None], span: tuple[int, ...],
                 flags: Flags, ioprio: int) -> Request:
        request = Request(self, file, prepare, span, flags, ioprio)
        with self._changed:
            self._open()
            if self._closing:
                raise ValueError("the ring is being closed")
            self._prepared[request._token] = request
        return request

    def fsync(self, file: File, offset: int = 0, length: int = 0,
              flags: Flags = Flags.NONE, ioprio: int = 0) -> Request:
        """Prepare an fsync of @length bytes from @offset, 0: to the end of the file."""
        span = (_unsigned(offset, 64), _unsigned(length, 64))
        return self._request(file, _lib.afsync_prep_fsync_range, span, flags, ioprio)

    def fdatasync(self, file: File, offset: int = 0, length: int = 0,
                  flags: Flags = Flags.NONE, ioprio: int = 0) -> Request:
        """Prepare an fdatasync, as fsync()."""
        span = (_unsigned(offset, 64), _unsigned(length, 64))
        return self._request(file, _lib.afsync_prep_fdatasync_range, span, flags, ioprio)

    def syncfs(self, file: File, flags: Flags = Flags.NONE, ioprio: int = 0) -> Request:
        """Prepare a syncfs of the filesystem that holds @file."""
        return self._request(file, _lib.afsync_prep_syncfs, (), flags, ioprio)

    def submit(self) -> None:
        """Queue the prepared requests. BlockingIOError if there is no room for all: a later submit
        or wait queues the rest."""
        with self._changed:
            self._want(list(self._prepared.values()))
            if not self._push():
                raise _error(errno.EAGAIN)

    def wait(self, count: int = 1, timeout: Optional[float] = None) -> list[Request]:
        """Submit, wait until @count requests are done whose result was not read, or
        all except held ones are done, and return those. Errors are not raised here: see error."""
        self._wait(lambda: len(self._done) >= count or self._idle(), timeout)
        with self._changed:
            done, self._done = list(self._done.values()), {}
            return done

    def finish(self, timeout: Optional[float] = None) -> None:
        """Submit, wait for all except held requests, and raise the first error that was not
        read, other than ECANCELED."""
        self._wait(self._idle, timeout)
        self._raise()

    async def afinish(self) -> None:
        """finish() for coroutines."""
        with self._changed:
            self._want(list(self._prepared.values()))
            self._advance()
            left = [*self._wanted.values(), *self._queued.values()]
        for request in left:
            if not request._held:
                await request._until_done()
        self._raise()

    def cancel(self) -> None:
        """Cancel every request that no sync serves yet."""
        with self._changed:
            self._open()
            self._cancel_all()

    def close(self) -> None:
        """Cancel the requests that no sync serves yet, wait for the rest, and free the ring.
        Every request is done then."""
        with self._changed:
            if self._handle is None:
                return
            if any(ident != threading.get_ident() for ident, _ in self._loops.values()):
                raise RuntimeError("tasks of another thread wait for the ring")
            self._closing = True
            self._cancel_all()
        lost = errno.EBADF
        try:
            self._until(lambda: not self._queued and not self._leading, None)
        except OSError as error:    # the descriptor was closed
            lost = error.errno or lost
        with self._changed:
            for request in list(self._queued.values()):
                self._finish(request, -lost)
            for loop in list(self._loops):
                loop.remove_reader(self.fileno())
            self._loops.clear()
            handle, self._handle = self._handle, None
        _lib.afsync_queue_exit(handle)

    async def aclose(self) -> None:
        """close() for coroutines."""
        if self._handle is None:
            return
        with self._changed:
            self._closing = True
            self._cancel_all()
            left = list(self._queued.values())
        for request in left:
            await request._until_done()
        self.close()

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.close()

    async def __aenter__(self) -> Ring:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        try:
            if kind is None:
                await self.afinish()
        finally:
            await self.aclose()

    def __del__(self) -> None:
        if self._handle is not None:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self)
            handle, self._handle = self._handle, None
            _lib.afsync_queue_exit(handle)

    # From here on called with the lock of _changed.

    def _idle(self) -> bool:
        return not self._wanted and all(request._held for request in self._queued.values())

    def _want(self, requests: list[Request]) -> None:
        self._open()
        for request in requests:
            if request._token in self._prepared:
                self._wanted[request._token] = request
                del self._prepared[request._token]

    def _settle(self) -> None:
        """Find out which of the wanted requests the last submit has queued. What an
        exception (of a signal handler) has cut short, the next call repeats or finishes."""
        queued = max(0, self._offered - _lib.afsync_sq_ready(self._handle))
        moved = dict(itertools.islice(self._wanted.items(), queued))
        self._queued.update(moved)
        self._offered = 0
        for token, request in moved.items():
            request.queued, request._file = True, None
            self._wanted.pop(token, None)
        while not _lib.afsync_sq_drop(self._handle, None, 0):
            pass

    def _push(self) -> bool:
        """Queue the wanted requests. False if there is no room for all."""
        handle = self._open()
        while True:
            self._settle()
            room = self.entries - len(self._queued)
            if not self._wanted or room <= 0:
                return not self._wanted
            for request in itertools.islice(self._wanted.values(), room):
                sqe = _lib.afsync_get_sqe(handle)
                request._prepare(sqe, request.fd, *request._span)
                _lib.afsync_sqe_set_data64(sqe, request._token)
                _lib.afsync_sqe_set_flags(sqe, request._flags)
                _lib.afsync_sqe_set_ioprio(sqe, request._ioprio)
                self._offered += 1
            ret = _lib.afsync_submit(handle)
            self._settle()
            if ret == -errno.EAGAIN:
                return False
            if ret < 0:
                self._finish(next(iter(self._wanted.values())), ret)

    def _reap(self) -> None:
        cqe = ctypes.POINTER(_Cqe)()
        # The thread that waits for a completion must find it.
        while not self._leading and not _lib.afsync_peek_cqe(self._handle, cqe):
            request = self._queued.get(cqe.contents.user_data)
            if request:
                self._finish(request, cqe.contents.res, bool(cqe.contents.flags & _CQE_MERGED))
            _lib.afsync_cqe_seen(self._handle, cqe)

    def _advance(self) -> None:
        """Read completions, and queue the requests that then have room. Without a running
        request that could make room, there is none."""
        if self._handle is None:
            return
        self._reap()
        while not self._push() and all(request._held for request in self._queued.values()):
            self._finish(next(iter(self._wanted.values())), -errno.EAGAIN)

    def _finish(self, request: Request, res: int, merged: bool = False) -> None:
        request.merged, request._file, request._res = merged, None, res
        if not request._forgotten:
            self._done[request._token] = request
        for table in (self._prepared, self._wanted, self._queued):
            table.pop(request._token, None)
        for loop, ident, future in request._waiters:
            if ident == threading.get_ident():
                _set(future)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(_set, future)
        self._changed.notify_all()

    def _cancel(self, request: Request) -> bool:
        if request.done:
            return False
        if not request.queued:
            self._finish(request, -errno.ECANCELED)
            return True
        ret = int(_lib.afsync_cancel(self._open(), request._token))
        return ret not in (-errno.EALREADY, -errno.ENOENT) and _check(ret) > 0

    def _cancel_all(self) -> None:
        for request in [*self._prepared.values(), *self._wanted.values()]:
            self._cancel(request)
        if self._queued and self._handle is not None:
            _lib.afsync_cancel_all(self._handle)

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        ident, tasks = self._loops.get(loop, (threading.get_ident(), 0))
        if not tasks:
            loop.add_reader(self.fileno(), self._readable)
        self._loops[loop] = ident, tasks + 1

    def _detach(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop not in self._loops:
            return
        ident, tasks = self._loops[loop]
        self._loops[loop] = ident, tasks - 1
        if tasks == 1:
            del self._loops[loop]
            loop.remove_reader(self.fileno())

    # From here on without it.

    def _wait(self, ready: Callable[[], bool], timeout: Optional[float]) -> None:
        """Submit the prepared requests, and wait until @ready()."""
        with self._changed:
            self._want(list(self._prepared.values()))
        self._until(ready, timeout)

    def _until(self, ready: Callable[[], bool], timeout: Optional[float]) -> None:
        """Wait until @ready(). One thread waits in the library, the others for that one."""
        deadline = None if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
        while True:
            lead = False
            try:
                with self._changed:
                    self._advance()
                    if ready():
                        return
                    left = None if deadline is None else (deadline - time.monotonic_ns()) / 1e9
                    if left is not None and left <= 0:
                        raise TimeoutError(errno.ETIME, os.strerror(errno.ETIME))
                    handle = self._open()
                    if self._leading:
                        self._changed.wait(left)
                        continue
                    lead = self._leading = True
                until = deadline and _Timespec(*divmod(deadline, 10 ** 9))
                ret = _lib.afsync_wait_cqes_until(handle, None, 1, until, None)
                if ret not in (-errno.ETIME, -errno.EINTR):
                    _check(ret)
            finally:
                if lead:
                    with self._changed:
                        self._leading = False
                        self._changed.notify_all()

    def _raise(self) -> None:
        for request in list(self._done.values()):
            if request._res not in (0, -errno.ECANCELED):
                request._take()

    def _readable(self) -> None:
        with self._changed:
            self._advance()


def _forget_rings() -> None:
    for ring in list(_rings):
        handle, ring._handle = ring._handle, None
        # Another thread may have had the lock.
        ring._changed = threading.Condition(threading.Lock())
        if handle is not None and ring.engine is Engine.DEVICE:
            _lib.afsync_queue_exit(handle)


os.register_at_fork(after_in_child=_forget_rings)
