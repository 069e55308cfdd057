"""The jobs that are to run, as Snakemake's graph of jobs has them, and those that searches will add to it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.plan import jobs_after_searches

Expected = Callable[[str, Mapping[str, str]], float]
"""Seconds that the plan expects of the job of a rule and wildcards; 0 where it names none."""


@dataclass(frozen=True)
class Job:
    """A job by its rule and wildcards. One that `chooses` decides which jobs there are after it."""

    rule: str
    wildcards: frozenset[tuple[str, str]]
    chooses: bool = False

    @classmethod
    def of(cls, rule: str, wildcards: Mapping[str, str] | None, chooses: bool = False) -> "Job":
        """From wildcards as Snakemake has them."""
        return cls(rule, frozenset((name, str(value)) for name, value in (wildcards or {}).items()), chooses)


Later = Callable[[Iterable[Job]], list[Job]]
"""Given the jobs that are to run, those that will be known once their searches have chosen."""


class Jobs:
    """Asks the graph anew each time: it is not there yet when the workflow is read, and changes after a search."""

    def __init__(self, graph: Callable[[], Any], later: Later) -> None:
        """`graph`: gives Snakemake's graph of jobs."""
        self._graph = graph
        self._later = later

    def total(self) -> int:
        """How many jobs this run has, as far as is known."""
        return len(self._graph())

    def to_run(self) -> list[Job]:
        """Those that are not done."""
        return [self._of(job) for job in self._graph().needrun_jobs()]

    def choosing(self) -> int:
        """How many are to decide which jobs there are after them."""
        return sum(job.chooses for job in self.to_run())

    def to_come(self) -> list[Job]:
        """Those that will be added."""
        waiting = self.to_run()
        if not any(job.chooses for job in waiting):
            return []
        known = {(job.rule, job.wildcards) for job in map(self._of, self._graph().jobs)}
        return [job for job in self._later(waiting) if (job.rule, job.wildcards) not in known]

    def files(self) -> list[str]:
        """What was asked for: the outputs of the targets, or what a target without any gathers."""
        targets = self._graph().targetjobs
        return sorted({str(file) for job in targets for file in (job.output or job.input)})

    @staticmethod
    def _of(job: Any) -> Job:
        return Job.of(job.rule.name, job.wildcards_dict, job.rule.is_checkpoint)


def after_searches(study: Study, waiting: Iterable[Job]) -> list[Job]:
    """What the searches among the jobs that wait will add for the experiments among them, as the plan counts it."""
    waiting = list(waiting)
    searches = {value for job in waiting if job.chooses for name, value in job.wildcards if name == "search"}
    experiments = {value for job in waiting for name, value in job.wildcards if name == "experiment"}
    return [Job.of(*found) for found in jobs_after_searches(study, sorted(experiments), searches)]
