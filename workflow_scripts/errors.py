"""Ends of a command: mistakes that a person can mend, with one clear message and no traceback, and interruptions."""

import errno
import os
import select
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn

MISTAKE = 2
"""Exit code of a command that a person must correct something for."""
INTERRUPTED = 75
"""Exit code of a command that saved what it had, to be started again and go on (`EX_TEMPFAIL` of sysexits.h)."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A disk, a share of it, or as large as a file may be."""
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


class UserError(Exception):
    """Input that a person must correct.

    The message names the file or field, what was found, what is expected and what to do.
    """


class Interrupted(Exception):
    """Work that stopped before its end, saved, for another job to go on with."""


def command(main: Callable[[], None]) -> NoReturn:
    """Run a module's `main` as a command: exit 0, or print the `UserError` or `Interrupted` and exit with its code.

    A full disk is a person's to mend, too, and so is a file that may not be read or written. Anything else is a bug and
    keeps its traceback. What the terminal's alphabet lacks is printed as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except (UserError, Interrupted, OSError) as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            raise SystemExit(1) from None
        if isinstance(error, OSError) and not _outside(error):
            raise
        print(_message(error), file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    raise SystemExit(0)


def exit_code(error: BaseException) -> int:
    """The code that a command exits with when its `main` raises the error."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, Interrupted):
        return INTERRUPTED
    return MISTAKE if isinstance(error, UserError) or _outside(error) else 1


def _nobody_reads() -> bool:
    """Whether standard output leads to a program that has ended, such as `head`; what is left of it is dropped."""
    output = select.poll()
    try:
        output.register(sys.stdout, select.POLLOUT)
    except (OSError, ValueError):  # it is no file of the system's, or closed
        return False
    gone = any(event & select.POLLERR for _, event in output.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return gone


def _outside(error: BaseException) -> bool:
    """Whether the machine refuses, and not the program is wrong."""
    return isinstance(error, OSError) and error.errno in (*FULL, *DENIED)


def _message(error: UserError | Interrupted | OSError) -> str:
    if isinstance(error, OSError) and error.errno in DENIED:
        return (
            f"Error: {error.filename or 'a file'}: {error.strerror}; expected one that this job may read or write: "
            "correct its permissions and those of its folder, or name another"
        )
    if isinstance(error, OSError):
        return (
            f"Error: {error.filename or 'output'}: {error.strerror}; nothing is half-written, and what a training "
            "saved is kept: free some space and start again"
        )
    return f"Error: {error}" if isinstance(error, UserError) else str(error)
