"""The words of a run: its first sentence, the line of a job, how the number of jobs grew, and its end."""

from collections.abc import Sequence

WIDEST = 280
"""Characters of a line; what is longer is cut."""
MINUTE, HOUR, DAY = 60, 3600, 86400
MOST_NAMED = 10
GO_ON = "run the same command again: what is done stays done, and a training goes on from what it last saved."


def elapsed(seconds: float) -> str:
    """As a clock: `4:12`, `1:04:12`, `2 d 1:04:12`."""
    minutes, second = divmod(int(seconds), MINUTE)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{days} d {clock}" if days else clock


def left(seconds: float | None) -> str:
    """About how long it still takes, with the comma before; nothing if that is unknown."""
    if seconds is None:
        return ""
    if seconds < MINUTE:
        return ", under a minute left"
    if seconds < 90 * MINUTE:
        return f", about {round(seconds / MINUTE)} min left"
    if seconds < 2 * DAY:
        return f", about {seconds / HOUR:.1f} h left"
    return f", about {round(seconds / DAY)} days left"


def cut(text: str, widest: int = WIDEST) -> str:
    """On one line, and no longer than a line may be."""
    line = " ".join(text.split())
    return line if len(line) <= widest else f"{line[: widest - 1]}…"


def message(rule: str, said: str | None, wildcards: Sequence[str], works: bool) -> str:
    """What a job does: the rule's message or, without one, the rule's name; a target only gathers."""
    if said:
        return said
    if not works:
        return f"Target {rule} is complete"
    return ", ".join([rule, *wildcards])


def job_line(done: int, total: int, seconds: float, seconds_left: float | None, what: str) -> str:
    """`[ 37/215] 4:12, about 9 min left  Training …`."""
    return cut_end(f"[{done:>{len(str(total))}}/{total}] {elapsed(seconds)}{left(seconds_left)}  ", what)


def cut_end(beginning: str, text: str) -> str:
    """A beginning as it is, and as much of the text as the line holds."""
    return beginning + cut(text, WIDEST - len(beginning))


def beginning(total: int, searches: int, later: int) -> str:
    """How many jobs, and that searches will add to them."""
    sentence = f"{count(total)} to run."
    if not searches:
        return sentence
    who = "a search chooses" if searches == 1 else f"{searches} searches choose"
    more = f"about {count(later)}" if later else "jobs"
    return f"{sentence} Among them {who} hyper-parameters, which will add {more}."


def growth(before: int, now: int, searches: Sequence[str]) -> str:
    """Why the number of jobs changed, and what it is now; `searches` have chosen since."""
    if now < before:
        return f"{count(before - now)} turned out not to be needed: {now} in all."
    more = f"{count(now - before)}: {now} in all."
    if not searches:
        return f"More turned out to be needed, {more}"
    who = (
        f"search {searches[0]} has"
        if len(searches) == 1
        else f"searches {cut(', '.join(searches), 150)} have"
    )
    return f"The {who} chosen, which adds {more}"


def submitted(number: str, log: str, what: str) -> str:
    """The number and the log that the cluster gave a job."""
    return cut_end(f"    SLURM job {number}, log {log}: ", what)


def success(done: int, seconds: float, files: Sequence[str]) -> str:
    """What was made, and in which time."""
    named = [f"  {file}" for file in files[:MOST_NAMED]]
    if len(files) > MOST_NAMED:
        named.append(f"  and {len(files) - MOST_NAMED} more")
    return "\n".join([f"Done: {count(done)} in {elapsed(seconds)}.{' Made:' if named else ''}", *named])


def so_far(done: int, total: int, seconds: float) -> str:
    """How much of a run is done, in which time."""
    return f"{done} of {count(total)} done in {elapsed(seconds)}"


def count(number: int) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} job" if number == 1 else f"{number} jobs"
