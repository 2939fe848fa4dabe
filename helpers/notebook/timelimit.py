"""A time limit for code that somebody else wrote: an endless loop ends in an exception."""

import _thread
import contextlib
import signal
import threading


class TimeIsUp(Exception):
    """The code under a time limit did not end in time."""


@contextlib.contextmanager
def time_limit(seconds: float):
    """Raise TimeIsUp in the body when it takes longer than this many seconds.

    It works as the stop button does: Python code is interrupted between two steps, a single long call into a library
    after that call. An interrupt that the body swallows is repeated every half second. In a thread other than the
    main one, which cannot be interrupted, there is no limit. It also works where interrupts are ignored, as in a process
    that was started in the background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended, lock, fired = threading.Event(), threading.Lock(), []

    def watch():
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if ended.is_set():
                    return
                fired.append(True)
                _thread.interrupt_main()
            wait = 0.5

    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual):  # ignored, for instance
        signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            with lock:
                ended.set()
            watcher.join()
    except KeyboardInterrupt:
        ended.set()
        if not fired:
            raise  # the person's own interrupt
        raise TimeIsUp(f"more than {seconds:g} seconds") from None
    finally:
        if usual is not None and not callable(usual):
            signal.signal(signal.SIGINT, usual)
