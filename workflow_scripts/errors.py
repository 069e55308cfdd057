"""Mistakes that a person can mend: one clear message, no traceback, exit code 2."""

import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """Input that a person must correct.

    The message names the file or field, what was found, what is expected and what to do.
    """


def command(main: Callable[[], None]) -> NoReturn:
    """Run a module's `main` as a command: exit 0, or print the `UserError` and exit 2.

    Anything else is a bug and keeps its traceback.
    """
    try:
        main()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)
