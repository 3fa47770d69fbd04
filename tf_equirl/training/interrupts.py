"""Signals that ask a process to end: Ctrl-C, and those of schedulers and closed terminals."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Of those not all exist on every system.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: the process is to end, as after Ctrl-C.

    Attributes:
        signal: Its number.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Interrupts:
    """Within it SIGTERM and SIGHUP raise `KeyboardInterrupt` once, as Ctrl-C does always.

    Only the system's own handling is replaced, and only in the main thread, where Python handles
    signals: a program's own handlers stay, and what it ignores (`nohup`) stays ignored.

    Example:
        >>> interrupts = Interrupts()
        >>> with interrupts:
        ...     with interrupts.held():
        ...         pass  # two writes of which neither is to be made without the other
    """

    def __init__(self) -> None:
        self._old: dict[int, Any] = {}
        self._holding = 0
        self._heard: KeyboardInterrupt | None = None
        self._ending = False

    def __enter__(self) -> Interrupts:
        """Takes the signals over."""
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                own = signal.SIG_DFL, signal.default_int_handler
                if number is not None and signal.getsignal(number) in own:
                    self._old[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Gives them back."""
        while self._old:
            signal.signal(*self._old.popitem())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within it signals wait."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if self._heard is not None and not self._holding:
            heard, self._heard = self._heard, None
            raise heard

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            if self._ending:
                return  # they often come together, while the run is being saved
            self._ending = True
        error = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
        if not self._holding:
            raise error
        self._heard = error
