"""What ran, in a crate: the workflow, its steps and tools, each job, and the run as a whole.

The types and links are those of Provenance Run Crate 0.5, and so of Workflow and Process Run Crate.
"""

import json
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from workflow_scripts.jobs.environment import REPOSITORY
from workflow_scripts.jobs.record import ENDING, File, Record, describe
from workflow_scripts.provenance.crate_files import Files
from workflow_scripts.provenance.results import Results

ENGINE = "https://github.com/snakemake/snakemake"
COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"
BIOSCHEMAS = "https://bioschemas.org/profiles"
OUTPUTS = ("figures", "tables", "report", "verdicts")
"""What a study is run for: folders and files below its results, by their names."""


class Runs:
    """Adds what ran to a crate."""

    def __init__(self, crate: ROCrate, files: Files, agent: Entity, url: str | None) -> None:
        self._crate = crate
        self._files = files
        self._agent = agent
        self._url = url
        self._tools: dict[tuple[str, ...], Entity] = {}

    def add(self, results: Results, jobs: dict[str, Record]) -> None:
        """Add the workflow and its run, of which `jobs` are those that ended."""
        for record in jobs.values():  # so that a file's plain name goes to the version that its job wrote
            for file in record.outputs:
                self._files.add(file)
        actions: dict[str, list[Entity]] = defaultdict(list)
        tools: dict[str, list[Entity]] = defaultdict(list)
        for path in sorted(jobs, key=lambda path: (jobs[path].attempts[0].start, path)):
            record = jobs[path]
            tool = self._tool(record)
            actions[record.rule].append(self._job(path, record, tool))
            if tool not in tools[record.rule]:
                tools[record.rule].append(tool)
        workflow = self._workflow(list(jobs.values()), tools)
        run = self._run(workflow, results, jobs)
        self._organised(workflow, run, actions)
        every = [action for of_rule in actions.values() for action in of_rule]
        self._crate.root_dataset["mentions"] = [run, *every]

    def _new(self, identifier: str, kind: str, **properties: Any) -> Entity:
        values = {"@type": kind} | {key: _value(value) for key, value in properties.items()}
        values = {key: value for key, value in values.items() if value not in (None, [])}
        return self._crate.add(ContextEntity(self._crate, identifier, values))

    # Jobs

    def _tool(self, record: Record) -> Entity:
        """The module that a job ran, with its version and libraries; named below the web page, if there is one."""
        module = record.command[2]
        libraries = ", ".join(
            f"{name} {version}" for name, version in record.versions.items() if version is not None
        )
        key = (module, _code(record), libraries)
        if key not in self._tools:
            number = sum(known[0] == module for known in self._tools) + 1
            file = f"{module.replace('.', '/')}.py"
            self._tools[key] = self._new(
                f"{self._url or ''}#{module}" + (f"/{number}" if number > 1 else ""),
                "SoftwareApplication",
                name=module,
                url=file if self._files.is_code(file) else (self._url or "./"),
                softwareVersion=_code(record),
                softwareRequirements=libraries or None,
            )
        return self._tools[key]

    def _job(self, path: str, record: Record, tool: Entity) -> Entity:
        own = self._files.add_here(path)
        last = record.attempts[-1]
        target = self._files.place(path).removesuffix(ENDING)
        action = self._new(
            f"#job/{quote(target)}",
            "CreateAction",
            name=f"{record.rule}: {'/'.join(self._files.within(path)).removesuffix(ENDING)}",
            description=_description(record),
            instrument=tool,
            agent=self._agent,
            startTime=record.attempts[0].start,
            endTime=last.end,
            actionStatus=COMPLETED if record.complete else FAILED,
            error=None if record.complete else f"exit code {last.exit}",
            object=self._entities(record.inputs),
            result=self._entities(record.outputs) or own,
        )
        own["about"] = action
        return action

    def _entities(self, files: Iterable[File]) -> list[Entity]:
        return list({id(entity): entity for entity in map(self._files.add, files)}.values())

    # The workflow and its run

    def _workflow(self, records: Sequence[Record], tools: dict[str, list[Entity]]) -> Entity:
        main = describe(REPOSITORY / "Snakefile")
        latest = max(records, key=lambda record: record.attempts[-1].end or "")
        version = latest.versions.get("snakemake")
        workflow = self._crate.add_workflow(
            REPOSITORY / "Snakefile",
            "Snakefile",
            main=True,
            lang="snakemake",
            lang_version=version,
            properties={
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
                "name": "Snakefile",
                "url": self._url or "Snakefile",
                "version": _code(latest),
                "conformsTo": {"@id": f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE"},
                "encodingFormat": "text/plain",
                "contentSize": str(main.bytes),
                "sha256": main.sha256,
            },
        )
        workflow["hasPart"] = _value(list(self._tools.values()))
        workflow["step"] = _value(
            [
                self._new(
                    f"#step/{rule}", "HowToStep", name=rule, position=str(position), workExample=of_rule
                )
                for position, (rule, of_rule) in enumerate(tools.items(), 1)
            ]
        )
        self._new(ENGINE, "SoftwareApplication", name="Snakemake", url=ENGINE, softwareVersion=version or "?")
        return workflow

    def _run(self, workflow: Entity, results: Results, jobs: dict[str, Record]) -> Entity:
        """The run as a whole, from raw data and settings to figures and tables."""
        ends = [record.attempts[-1].end or "" for record in jobs.values()]
        complete = all(record.complete for record in jobs.values())
        inputs = [self._parameter(workflow, "input", "data", self._raw(results, jobs))]
        inputs += [
            self._parameter(workflow, "input", name, [self._setting(name, value)])
            for name, value in _settings(jobs.values()).items()
        ]
        wanted: dict[str, list[File]] = {name: [] for name in OUTPUTS}
        for record in jobs.values():
            for file in record.outputs:
                name = (self._files.within(file.path) or ("",))[0].partition(".")[0]
                if name in wanted:
                    wanted[name].append(file)
        outputs = [
            self._parameter(workflow, "output", name, self._entities(files)) for name, files in wanted.items()
        ]
        return self._new(
            "#run",
            "CreateAction",
            name="Run of the workflow",
            description=f"From the first job to the last that wrote a result: {len(jobs):,} jobs.",
            instrument=workflow,
            agent=self._agent,
            startTime=min(record.attempts[0].start for record in jobs.values()),
            endTime=max(ends),
            actionStatus=COMPLETED if complete else FAILED,
            error=None if complete else "Some jobs failed.",
            object=[entity for entities in inputs for entity in entities],
            result=[entity for entities in outputs for entity in entities] or self._crate.root_dataset,
        )

    def _raw(self, results: Results, jobs: dict[str, Record]) -> list[Entity]:
        """Files that no job wrote, other than the workflow's own."""
        return self._entities(
            file
            for record in jobs.values()
            for file in record.inputs
            if results.producer(file.path) is None and not self._files.is_code(file.path)
        )

    def _setting(self, name: str, value: str) -> Entity:
        return self._new(f"#setting/{name}", "PropertyValue", name=name, value=value)

    def _parameter(self, workflow: Entity, direction: str, name: str, examples: list[Entity]) -> list[Entity]:
        """Declare an input or output of the workflow that the examples are values of."""
        if examples:
            parameter = self._new(
                f"#{direction}/{name}",
                "FormalParameter",
                name=name,
                additionalType="Text" if examples[0].type == "PropertyValue" else "File",
                conformsTo={"@id": f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE"},
                workExample=examples,
            )
            for example in examples:
                example["exampleOfWork"] = parameter
            workflow.append_to(direction, parameter, compact=True)
        return examples

    def _organised(self, workflow: Entity, run: Entity, actions: dict[str, list[Entity]]) -> None:
        """Snakemake's part: which jobs carried out which step."""
        controls = [
            self._new(
                f"#control/{rule}",
                "ControlAction",
                name=f"Jobs of {rule}",
                instrument={"@id": f"#step/{rule}"},
                object=of_rule,
            )
            for rule, of_rule in actions.items()
        ]
        self._new(
            "#orchestration",
            "OrganizeAction",
            name="Orchestration by Snakemake",
            instrument={"@id": ENGINE},
            agent=self._agent,
            startTime=run["startTime"],
            endTime=run["endTime"],
            object=controls,
            result=run,
        )


def _value(value: Any) -> Any:
    """A property's value as RO-Crate 1.1 wants it: no list around a single one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _code(record: Record) -> str:
    """Which code a job ran, in words."""
    changes = ", with uncommitted changes" if record.code.dirty else ""
    return f"commit {record.code.commit}{changes}" if record.code.commit else "no commit recorded"


def _description(record: Record) -> str:
    """Where and how often a job was started, and its command, which its record has in full."""
    last = record.attempts[-1]
    where = f"SLURM job {last.slurm_job} on {last.host}" if last.slurm_job else f"on {last.host}"
    attempts = f", attempt {len(record.attempts)}" if len(record.attempts) > 1 else ""
    words = textwrap.shorten(" ".join(record.command), 500, placeholder=" …")
    return f"Ran {where}{attempts}: {words}"


def _settings(records: Iterable[Record]) -> dict[str, str]:
    """What was asked for, as the record of the study has it."""
    for record in records:
        if record.rule == "study":
            summary = record.settings.get("summary", {})
            names = [experiment["name"] for experiment in summary.get("experiments", [])]
            found = {"scale": summary.get("scale", ""), "experiments": ", ".join(names)}
            found["schedules"] = json.dumps(summary.get("schedules", {}))
            return {name: value for name, value in found.items() if value}
    return {}
