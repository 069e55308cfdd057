"""How times and numbers of things are told to people."""


def duration(seconds: float) -> str:
    """`40 s`, `15 min`, `2.5 h`, `3.1 days`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def count(number: int, name: str) -> str:
    """`1 job`, `2 jobs`, `1,200 jobs`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"
