"""Where everything of a study lies, and which files each job reads: lookups by name, nothing parsed apart."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from workflow_scripts.jobs.sheet import digest
from workflow_scripts.study.compiled.experiments import ADVICE, Kind
from workflow_scripts.study.compiled.pixels import pixels_detected
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.requirements import missing
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Chosen, ExperimentRun, Study
from workflow_scripts.study.layout.compared import compared_runs, compared_sets
from workflow_scripts.study.layout.data import DataLayout


class Layout(DataLayout):
    """Paths of a study. Attributes are patterns with `{wildcards}`; methods give the files of one thing."""

    def __init__(self, study: Study, raw: Callable[[str], Any] = str) -> None:
        """`raw` marks the files of real data, whose identity is their manifest and not their modification time."""
        super().__init__(study, raw)
        self.recipe = f"{self.root}/recipes/{{recipe}}.json"
        self.segment = f"{self.root}/training/{{recipe}}/{{segment}}"
        self.evaluation = f"{self.root}/evaluation/{{recipe}}/{{segment}}/{{testing}}"
        self.run = f"{self.root}/runs/{{recipe}}/{{schedule}}"
        self.search = f"{self.root}/search/{{search}}.json"
        self.trained = f"{self.root}/pretraining/train/{{model}}"
        self.fetched = f"{self.root}/pretraining/fetch/{{model}}"
        self.intervals = f"{self.root}/tables/{{experiment}}-intervals.csv"
        self.pictures = f"{self.root}/detections/{{train_set}}.json"
        self.differences = f"{self.root}/detections/{{train_set}}-differences.csv"
        self.verdicts = f"{self.root}/verdicts.json"
        self.report = f"{self.root}/report.html"
        self.advice = f"{self.root}/advice/advice.json"
        self.advice_page = f"{self.root}/advise.html"
        self.costs = f"{self.root}/costs.yaml"
        self.sheets = f"{self.root}/jobs"
        self.logs = f"{self.root}/logs"
        self.benchmarks = f"{self.root}/benchmarks"

    # Training

    def training_inputs(self, recipe_name: str, segment_name: str) -> dict[str, Any]:
        """Recipe, data, and what the segment starts from: its parent's state, a backbone, or nothing."""
        recipe = self._study.recipes[recipe_name]
        segment = self._study.segments[recipe_name, segment_name]
        inputs = {"recipe": self.recipe.format(recipe=recipe_name), **self.trained_on(recipe)}
        if segment.parent:
            inputs["parent"] = self._of(*segment.parent, "state.safetensors")
        elif recipe.pretraining != "skip":
            inputs["backbone"] = f"{self._pretrained(recipe)}/backbone.safetensors"
        return inputs

    def classifier_output(self, model: str, name: str) -> str:
        """An output of the one segment that trains a model's classifier."""
        recipe = f"classification-{model}"
        (segment,) = [segment for segment in self._study.segments.values() if segment.recipe == recipe]
        return self._of(recipe, segment.name, name)

    # Runs

    def evaluations_of_run(self, recipe: str, schedule: str, points: str, testing: str) -> list[str]:
        """Metrics of the segments along a run in which checkpoints are read: all of its `curve`, or its `end`."""
        return self._evaluations(self._study.runs[recipe, schedule], points, testing, "metrics.json")

    def training_of_run(self, recipe: str, schedule: str) -> list[str]:
        """Lines of metrics of a run's segments, first to last."""
        segments = self._study.runs[recipe, schedule].segments
        return [self._of(segment.recipe, segment.name, "metrics.jsonl") for segment in segments]

    def search_tables(self, search: str) -> list[str]:
        """The end of each run of a search."""
        runs = self._study.searches[search].runs.values()
        return [self._run(run, "end-single_scale.csv") for run in runs]

    # Experiments

    def run_tables(self, experiment: str, chosen: Chosen) -> list[str]:
        """The table of each run of an experiment."""
        return [self._member_table(member) for member in self._study.members_of(experiment, chosen)]

    def certain_tables(self, experiment: str) -> list[str]:
        """Those of them that no search decides on: they need not wait for one."""
        members = self._study.members[experiment]
        return [self._member_table(member) for member in members if member.choice is None]

    def settings(self, experiment: str, chosen: Chosen) -> list[str]:
        """What the experiment calls each of those runs."""
        return [member.setting for member in self._study.members_of(experiment, chosen)]

    def _member_table(self, member: ExperimentRun) -> str:
        trained = member.points == "training"
        return self._run(member.run, "training.csv" if trained else f"{member.points}-{member.testing}.csv")

    def counted_runs(self) -> list[str]:
        """Training tables of Fig. 2's runs, of the first seed alone: every seed sees as much."""
        first = self._study.config.seeds[0]
        runs = [member.run for member in self._study.members["fig2"]]
        return [self._run(run, "training.csv") for run in runs if run.recipe.seed == first]

    def counted_pretraining(self) -> list[str]:
        """Lines of metrics of the pre-training behind Fig. 2's runs, where it is trained here."""
        recipes = [member.run.recipe for member in self._study.members["fig2"]]
        trained = {recipe.model for recipe in recipes if recipe.pretraining == "train"}
        return [self.classifier_output(model, "metrics.jsonl") for model in sorted(trained)]

    def table_of(self, experiment: str) -> str:
        """The tidy table that a figure or table is made from, by hand too."""
        if experiment == "fig2":
            return f"{self.root}/tables/fig2-counts.csv"
        kind = "training" if self._study.experiments[experiment].reads_training else "evaluations"
        return f"{self.root}/tables/{experiment}-{kind}.csv"

    def figure(self, name: str) -> list[str]:
        """PNG, PDF and SVG of a figure."""
        return [f"{self.root}/figures/{name}.{ending}" for ending in ("png", "pdf", "svg")]

    def intervals_of(self, experiment: str) -> list[str]:
        """The table of a figure's intervals, where its values have some."""
        evaluated = self.table_of(experiment).endswith("-evaluations.csv")
        return [self.intervals.format(experiment=experiment)] if evaluated else []

    # Advice

    def advice_subsets(self) -> dict[str, str]:
        """The manifest of each share of the images that advice trains on."""
        arms = self._study.experiments[ADVICE].arms
        return {arm.subset: self.manifest(arm.train_set, "train", arm.subset) for arm in arms}

    def trainings_of(self, experiment: str, chosen: Chosen) -> list[str]:
        """Lines of metrics of each segment behind an experiment, those of searches and of classifiers among them."""
        return self._trainings([experiment], chosen)

    def tried_inputs(self) -> list[str]:
        """What `costs` reads: recipes and data of the trainings that it tries, and their checks."""
        tried = self._tried()
        data = [file for recipe in tried for file in self.trained_on(recipe).values()]
        recipes = [self.recipe.format(recipe=recipe.name) for recipe in tried]
        return [*recipes, *data, *_once(file for recipe in tried for file in self.checks_before(recipe.name))]

    def tried_options(self) -> list[dict[str, str]]:
        """Of each of them, the options of its command that do not depend on its length."""
        return [self._tried_options(recipe) for recipe in self._tried()]

    def _tried_options(self, recipe: Recipe) -> dict[str, str]:
        options = {
            "recipe": self.recipe.format(recipe=recipe.name),
            "images": self.training_images(recipe.name),
        }
        data = self.trained_on(recipe)
        return options | ({"annotations": str(data["annotations"])} if "annotations" in data else {})

    def tried_detection(self) -> dict[str, float]:
        """What is not tried: seconds of a detection by the scale's costs, for images as large as this study's."""
        backbone, config, scale = self._tried()[0].backbone, self._study.config, self._study.scale
        return {backbone: scale.costs.detection.get(backbone, 0.0) * pixels_detected(config, scale)}

    def _tried(self) -> list[Recipe]:
        """Of the trainings behind advice, one from random init on all images, and the classifier's, if there is one."""
        recipes = [member.run.recipe for member in self._study.members[ADVICE]]
        detector = next(each for each in recipes if each.pretraining == "skip")
        trained = [f"classification-{each.model}" for each in recipes if each.pretraining == "train"]
        return [detector, *(self._study.recipes[name] for name in trained[:1])]

    def table(self, name: str) -> list[str]:
        """CSV, Markdown and LaTeX of a table."""
        return [f"{self.root}/tables/{name}.{ending}" for ending in ("csv", "md", "tex")]

    def refusal(self, experiment: str) -> str | None:
        """Why an experiment cannot be run on the data that the configuration names; None where it can."""
        if experiment in self._study.unfit:
            return self._study.unfit[experiment]
        study = self._study
        return "\n".join(missing(study.config, study.scale, [study.experiments[experiment]])) or None

    # Detections side by side

    def compared(self, train_set: str, chosen: Chosen) -> dict[str, Any]:
        """What `evaluation/compare.py` compares on a training set: its detector, and each run with its detections."""
        setting, points = compared_runs(self._study, train_set, chosen)
        runs = [(point, run) for point, each in points.items() for run in each]
        recipe = runs[0][1].recipe
        return {
            **{name: getattr(recipe, name) for name in ("train_set", "subset", "detector")},
            "model": recipe.label,
            "setting": setting,
            "seed": self._study.config.seeds[0],
            "runs": [self._compared_run(point, run) for point, run in runs],
        }

    def _compared_run(self, point: str, run: Run) -> dict[str, Any]:
        ((_, iteration),) = run.checkpoints("end")
        (folder,) = self._evaluations(run, "end", "single_scale", "detections")
        return {
            "initialisation": run.recipe.initialisation,
            "point": point,
            "schedule": run.schedule.name,
            "iteration": iteration,
            "seed": run.recipe.seed,
            "detections": f"{folder}/{iteration}.json",
        }

    def compared_detections(self, train_set: str, chosen: Chosen) -> list[str]:
        """Folders of the detections that are compared on a training set."""
        _, points = compared_runs(self._study, train_set, chosen)
        runs = [run for each in points.values() for run in each]
        return _once(
            file for run in runs for file in self._evaluations(run, "end", "single_scale", "detections")
        )

    def asked_comparisons(self, pattern: str) -> list[str]:
        """`pictures` or `differences` of each training set that the asked experiments evaluate."""
        return [pattern.format(train_set=train_set) for train_set in compared_sets(self._study)]

    # Report

    def pages(self) -> list[str]:
        """What answers what the configuration asks for."""
        reported = self.asked("figure") + self.asked("table")
        return [self.report] * bool(reported) + [self.advice_page] * bool(self.asked("advice"))

    def named(self, kind: Kind) -> list[str]:
        """All experiments of a kind."""
        return [name for name, each in self._study.experiments.items() if each.kind == kind]

    def asked(self, kind: Kind) -> list[str]:
        """The experiments of the configuration that are of a kind."""
        names = self._study.config.experiments
        return [name for name in names if self._study.experiments[name].kind == kind]

    def asked_tables(self, kind: str = "") -> list[str]:
        """Tidy tables behind the asked figures and tables; with a kind, only `evaluations` or `training`."""
        tables = [self.table_of(name) for name in self.asked("figure") + self.asked("table")]
        return [table for table in tables if table.endswith(f"{kind}.csv")]

    def asked_searches(self) -> list[str]:
        """Results of the searches behind the asked experiments."""
        return _once(file for name in self._study.config.experiments for file in self.searches(name))

    def searches(self, experiment: str) -> list[str]:
        """Results of the searches that an experiment rests on."""
        return [self.search.format(search=name) for name in self._study.searches_of(experiment)]

    def asked_replicates(self, chosen: Chosen) -> list[str]:
        """Resampled AP of the asked runs' evaluations: how it varies with the choice of images."""
        return _once(
            file for name in self._study.config.experiments for file in self.replicates(name, chosen)
        )

    def replicates(self, experiment: str, chosen: Chosen) -> list[str]:
        """Those of the runs that one experiment reads."""
        return self._evaluated(experiment, chosen, "replicates.csv")

    def asked_metrics(self, chosen: Chosen) -> list[str]:
        """Metrics of the evaluations that asked figures read, of categories too."""
        return _once(
            file for name in self.asked("figure") for file in self._evaluated(name, chosen, "metrics.json")
        )

    def asked_recipes(self, chosen: Chosen) -> list[str]:
        """Recipes of the asked runs, and of the pre-trainings that they start from."""
        recipes = self._trained_recipes(chosen)
        trained = [f"classification-{recipe.model}" for recipe in recipes if recipe.pretraining == "train"]
        return [self.recipe.format(recipe=name) for name in _once([r.name for r in recipes] + trained)]

    def asked_manifests(self, chosen: Chosen) -> list[str]:
        """Manifests of the data behind the asked runs."""
        recipes = self._trained_recipes(chosen)
        trained = [self.manifest(recipe.train_set, "train", recipe.subset) for recipe in recipes]
        evaluated = [self.manifest(recipe.train_set, "val") for recipe in recipes]
        return _once(trained + evaluated)

    def asked_checks(self, pattern: str) -> list[str]:
        """Reports of the checks of all data that the asked experiments train on, whatever searches choose."""
        return [self.check_of(name, pattern) for name in self._asked_data()]

    def checks_before(self, recipe_name: str) -> list[str]:
        """Reports that a training waits for: of all models, of its own data, and before pre-training of all given data.

        Nothing is wrong with data that are drawn, and the target may need none of them.
        """
        recipe = self._study.recipes[recipe_name]
        waits: list[str] = [recipe.train_set]
        if recipe.task == "classification":
            waits += [name for name in self._asked_data() if "world" not in self.checked_inputs(name)]
        return [
            *(self.check_of(name, self.check) for name in _once(waits)),
            self.models_of(self.models_check),
        ]

    def _asked_data(self) -> list[str]:
        recipes = self._asked_recipes()
        begun = ["classification"] if any(recipe.pretraining == "train" for recipe in recipes) else []
        cut = [self.cropped] if self.cropped else []
        return _once([*begun, *cut, *(recipe.train_set for recipe in recipes)])

    def fit_options(self, train_set: str) -> dict[str, Any]:
        """What the first training on a data set sees of it: options of `data/check/fit.py`."""
        recipe = next(each for each in self._asked_recipes() if each.train_set == train_set)
        return {
            "image_side": max(recipe.image_sides),
            "longest_side": recipe.longest_side,
            "anchor_sizes": {"levels": recipe.anchors},
            "batch": recipe.batch,
        }

    def asked_fits(self) -> list[str]:
        """How each data set that detectors train on fits what they see."""
        return [
            self.fit.format(train_set=name)
            for name in _once(each.train_set for each in self._asked_recipes())
        ]

    def _asked_recipes(self) -> list[Recipe]:
        return [run.recipe for run in self._asked_runs()]

    @cached_property
    def tried_models(self) -> dict[str, Recipe]:
        """A recipe of each model that the asked experiments train, whatever searches choose, by its settings."""
        runs = self._asked_runs()
        names = [segment.recipe for run in runs for segment in run.segments]
        names += [f"classification-{run.recipe.model}" for run in runs if run.recipe.pretraining == "train"]
        models: dict[str, Recipe] = {}
        for name in _once(names):
            recipe = self._study.recipes[name]
            settings = (recipe.detector, recipe.model, recipe.freeze_at, recipe.detectron2)
            models.setdefault(digest(settings), recipe)
        return models

    def models_of(self, pattern: str) -> str:
        """`models_check` or `models_text` of these models; the name changes with their settings."""
        return pattern.format(models=digest(sorted(self.tried_models)))

    def asked_pretrainings(self, chosen: Chosen) -> list[str]:
        """Summaries of the pre-trainings behind the asked runs."""
        begun = [recipe for recipe in self._trained_recipes(chosen) if recipe.pretraining != "skip"]
        return [f"{folder}/summary.json" for folder in _once(map(self._pretrained, begun))]

    def asked_trainings(self, chosen: Chosen) -> list[str]:
        """Lines of metrics of each segment behind the asked runs, those of searches and of classifiers among them."""
        return self._trainings(self._study.config.experiments, chosen)

    def _trainings(self, experiments: Iterable[str], chosen: Chosen) -> list[str]:
        runs = self._study.needed_runs(experiments, chosen)
        segments = [(segment.recipe, segment.name) for run in runs for segment in run.segments]
        trained = {run.recipe.model for run in runs if run.recipe.pretraining == "train"}
        classifiers = [self.classifier_output(model, "metrics.jsonl") for model in sorted(trained)]
        return _once([*classifiers, *(self._of(*segment, "metrics.jsonl") for segment in segments)])

    def _evaluated(self, experiment: str, chosen: Chosen, name: str) -> list[str]:
        """A file of each evaluation that an experiment reads."""
        files = [
            file
            for member in self._study.members_of(experiment, chosen)
            if member.points != "training"
            for file in self._evaluations(member.run, member.points, member.testing, name)
        ]
        return _once(files)

    def _trained_recipes(self, chosen: Chosen) -> list[Recipe]:
        """Those of the asked runs' segments, which may be other recipes' up to a fork."""
        asked = self._study.config.experiments
        runs = [member.run for name in asked for member in self._study.members_of(name, chosen)]
        names = _once(segment.recipe for run in runs for segment in run.segments)
        return [self._study.recipes[name] for name in names]

    def _pretrained(self, recipe: Recipe) -> str:
        pattern = self.trained if recipe.pretraining == "train" else self.fetched
        return pattern.format(model=recipe.model)

    def _of(self, recipe: str, segment: str, name: str) -> str:
        return f"{self.segment.format(recipe=recipe, segment=segment)}/{name}"

    def _run(self, run: Run, name: str) -> str:
        return f"{self.run.format(recipe=run.recipe.name, schedule=run.schedule.name)}/{name}"

    def _evaluations(self, run: Run, points: str, testing: str, name: str) -> list[str]:
        folders = _once(
            self.evaluation.format(recipe=segment.recipe, segment=segment.name, testing=testing)
            for segment, _ in run.checkpoints(points)
        )
        return [f"{folder}/{name}" for folder in folders]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
