"""Where everything of a study lies, and which files each job reads: lookups by name, nothing parsed apart."""

from collections.abc import Callable, Iterable
from typing import Any

from workflow_scripts.errors import UserError
from workflow_scripts.study.checks import missing_data
from workflow_scripts.study.config import ClassificationDataset, CocoDataset, ImageSet
from workflow_scripts.study.recipes import Recipe
from workflow_scripts.study.segments import Run, Segment
from workflow_scripts.study.study import Study
from workflow_scripts.study.summary import asked_runs


class Layout:
    """Paths of a study. Attributes are patterns with `{wildcards}`; methods give the files of one thing."""

    def __init__(self, study: Study, raw: Callable[[str], Any] = str) -> None:
        """`raw` marks the files of real data, whose identity is their manifest and not their modification time."""
        self._study = study
        self._raw = raw
        self.root = f"{study.config.results}/{study.scale.name}"
        self.world = f"{self.root}/world"
        self.recipe = f"{self.root}/recipes/{{recipe}}.json"
        self.segment = f"{self.root}/training/{{recipe}}/{{segment}}"
        self.evaluation = f"{self.root}/evaluation/{{recipe}}/{{segment}}/{{iteration}}"
        self.run = f"{self.root}/runs/{{recipe}}/{{schedule}}"
        self.trained = f"{self.root}/pretraining/train/{{model}}"
        self.fetched = f"{self.root}/pretraining/fetch/{{model}}"
        self.logs = f"{self.root}/logs"
        self.benchmarks = f"{self.root}/benchmarks"

    # Data

    def image_set(self, train_set: str, split: str) -> ImageSet:
        """Annotations and images of a split of `coco` or its `keypoints`: the given ones, or the drawn world's.

        Raises:
            UserError: real data without keypoints, where they are asked for.
        """
        given = self._study.config.datasets.coco
        if given is None:
            folder = f"{self.world}/coco"
            name = "person_keypoints" if train_set == "keypoints" else "instances"
            return ImageSet(
                annotations=f"{folder}/annotations/{name}_{split}.json", images=f"{folder}/{split}"
            )
        instances: ImageSet = getattr(given, split)
        if train_set == "coco":
            return instances
        if given.keypoints is None:
            raise UserError(
                "config.yaml: datasets.coco.keypoints: missing; list the experiment to hear what it needs"
            )
        return ImageSet(annotations=getattr(given.keypoints, split), images=instances.images)

    def annotations(self, train_set: str, split: str) -> Any:
        """The annotation file of a split, marked as raw where it is real."""
        path = self.image_set(train_set, split).annotations
        return path if self._study.config.datasets.coco is None else self._raw(path)

    def classification(self) -> ClassificationDataset:
        """The image folders to pre-train on.

        Raises:
            UserError: a scale without a miniature world, and no real data.
        """
        if self._study.config.datasets.classification is None and self._study.scale.world is None:
            raise UserError("config.yaml: datasets.classification: missing; name the folders to pre-train on")
        folder = f"{self.world}/classification"
        drawn = ClassificationDataset(train=f"{folder}/train", val=f"{folder}/val")
        return self._study.config.datasets.classification or drawn

    def manifest(self, train_set: str, split: str) -> str:
        """What identifies a split."""
        return f"{self.root}/data/{train_set}-{split}.json"

    def subset_files(self, what: str) -> list[str]:
        """The `instances` or `manifest` file of each nested subset."""
        return [f"{self.root}/data/subsets/{what}_{name}.json" for name in self._study.scale.subsets]

    @property
    def draws_subsets(self) -> bool:
        """Whether the report shows the subsets: unless a small scale's sizes were left as they are for real data."""
        config = self._study.config
        return config.datasets.coco is None or self._study.scale.world is None or "subsets" in config.numbers

    def subset_sizes(self) -> list[str]:
        """The subsets as NAME=SIZE; with val2014 given, 35k is all of train2017 within it, the paper's val35k."""
        val35k: dict[str, Any] = {"35k": "all"} if self.val2014() else {}
        return [f"{name}={size}" for name, size in (self._study.scale.subsets | val35k).items()]

    def val2014(self) -> list[Any]:
        """The annotation file that makes val35k, where it is given."""
        given: CocoDataset | None = self._study.config.datasets.coco
        return [self._raw(given.val2014_annotations)] if given and given.val2014_annotations else []

    # Training

    def training_inputs(self, recipe_name: str, segment_name: str) -> dict[str, Any]:
        """Recipe, data, and what the segment starts from: its parent's state, a backbone, or nothing."""
        recipe = self._study.recipes[recipe_name]
        segment = self._study.segments[recipe_name, segment_name]
        inputs: dict[str, Any] = {"recipe": self.recipe.format(recipe=recipe_name)}
        if recipe.task == "detection":
            inputs["manifest"] = self.manifest(recipe.train_set, "train")
            inputs["annotations"] = self.annotations(recipe.train_set, "train")
        elif self._study.config.datasets.classification is None:
            inputs["manifest"] = f"{self.world}/manifest.json"
        if segment.parent:
            inputs["parent"] = self._of(recipe_name, segment.parent, "state.safetensors")
        elif recipe.pretraining != "skip":
            inputs["backbone"] = f"{self._pretrained(recipe)}/backbone.safetensors"
        return inputs

    def training_images(self, recipe_name: str) -> str:
        """The folder of pictures that a recipe trains on."""
        recipe = self._study.recipes[recipe_name]
        if recipe.task == "classification":
            return self.classification().train
        return self.image_set(recipe.train_set, "train").images

    def evaluated_on(self, recipe_name: str) -> dict[str, Any]:
        """Manifest and annotations of the validation set that a recipe's checkpoints are evaluated on."""
        train_set = self._study.recipes[recipe_name].train_set
        return {
            "manifest": self.manifest(train_set, "val"),
            "annotations": self.annotations(train_set, "val"),
        }

    def evaluated_images(self, recipe_name: str) -> str:
        """The folder of that set's images."""
        return self.image_set(self._study.recipes[recipe_name].train_set, "val").images

    def classifier_output(self, model: str, name: str) -> str:
        """An output of the one segment that trains a model's classifier."""
        recipe = f"classification-{model}"
        (segment,) = [segment for segment in self._study.segments.values() if segment.recipe == recipe]
        return self._of(recipe, segment.name, name)

    # Runs

    def evaluations_of_run(self, recipe: str, schedule: str, points: str) -> list[str]:
        """Metrics of the checkpoints along a run: all of its `curve`, or its `end`."""
        checkpoints = [
            self._evaluation(segment, iteration)
            for segment in self._study.runs[recipe, schedule].segments
            for iteration in segment.evaluations
        ]
        return checkpoints if points == "curve" else checkpoints[-1:]

    def training_of_run(self, recipe: str, schedule: str) -> list[str]:
        """Lines of metrics of a run's segments, first to last."""
        segments = self._study.runs[recipe, schedule].segments
        return [self._of(recipe, segment.name, "metrics.jsonl") for segment in segments]

    def run_tables(self, experiment: str) -> list[str]:
        """The evaluations of each run of an experiment."""
        name = self._study.experiments[experiment].points
        return [self._run(run, f"{name}.csv") for run in self._study.runs_of[experiment]]

    def counted_runs(self) -> list[str]:
        """Training tables of Fig. 2's runs, of the first seed alone: every seed sees as much."""
        first = self._study.config.seeds[0]
        return [
            self._run(run, "training.csv") for run in self._study.runs_of["fig2"] if run.recipe.seed == first
        ]

    def counted_pretraining(self) -> list[str]:
        """Lines of metrics of the pre-training behind Fig. 2's runs, where it is trained here."""
        trained = {
            run.recipe.model for run in self._study.runs_of["fig2"] if run.recipe.pretraining == "train"
        }
        return [self.classifier_output(model, "metrics.jsonl") for model in sorted(trained)]

    # Figures, tables, report

    def evaluations(self, experiment: str) -> str:
        """The tidy table of an experiment's evaluations."""
        return f"{self.root}/tables/{experiment}-evaluations.csv"

    def figure_table(self, experiment: str) -> str:
        """The tidy table that a figure is drawn from, by hand too."""
        counted = self._study.experiments[experiment].points == "counts"
        return f"{self.root}/tables/{experiment}-counts.csv" if counted else self.evaluations(experiment)

    def figure(self, name: str) -> list[str]:
        """PNG and PDF of a figure."""
        return [f"{self.root}/figures/{name}.{ending}" for ending in ("png", "pdf")]

    def table(self, name: str) -> list[str]:
        """CSV, Markdown and LaTeX of a table."""
        return [f"{self.root}/tables/{name}.{ending}" for ending in ("csv", "md", "tex")]

    def refusal(self, experiment: str) -> str | None:
        """Why an experiment cannot be run on the data that the configuration names; None where it can."""
        config = self._study.config.model_copy(update={"experiments": (experiment,)})
        return "\n".join(missing_data(config, self._study.scale)) or None

    def asked(self, kind: str) -> list[str]:
        """The experiments of the configuration that are a `fig` or a `table`."""
        return [name for name in self._study.config.experiments if name.startswith(kind)]

    def asked_sources(self) -> list[str]:
        """Tidy tables behind the asked figures and tables."""
        figures = [self.figure_table(name) for name in self.asked("fig")]
        return figures + [self.evaluations(name) for name in self.asked("table")]

    def asked_recipes(self) -> list[str]:
        """Recipes of the asked runs, and of the pre-trainings that they start from."""
        recipes = self._asked_recipes()
        trained = [f"classification-{recipe.model}" for recipe in recipes if recipe.pretraining == "train"]
        return [self.recipe.format(recipe=name) for name in _once([r.name for r in recipes] + trained)]

    def asked_manifests(self) -> list[str]:
        """Manifests of the data behind the asked runs, and of the nested subsets of COCO."""
        train_sets = _once(recipe.train_set for recipe in self._asked_recipes())
        splits = [self.manifest(train_set, split) for train_set in train_sets for split in ("train", "val")]
        return splits + (self.subset_files("manifest") if self.draws_subsets else [])

    def asked_pretrainings(self) -> list[str]:
        """Summaries of the pre-trainings behind the asked runs."""
        begun = [recipe for recipe in self._asked_recipes() if recipe.pretraining != "skip"]
        return [f"{folder}/summary.json" for folder in _once(map(self._pretrained, begun))]

    def _asked_recipes(self) -> list[Recipe]:
        return [run.recipe for run in asked_runs(self._study)]

    def _pretrained(self, recipe: Recipe) -> str:
        pattern = self.trained if recipe.pretraining == "train" else self.fetched
        return pattern.format(model=recipe.model)

    def _of(self, recipe: str, segment: str, name: str) -> str:
        return f"{self.segment.format(recipe=recipe, segment=segment)}/{name}"

    def _run(self, run: Run, name: str) -> str:
        return f"{self.run.format(recipe=run.recipe.name, schedule=run.schedule.name)}/{name}"

    def _evaluation(self, segment: Segment, iteration: int) -> str:
        folder = self.evaluation.format(recipe=segment.recipe, segment=segment.name, iteration=iteration)
        return f"{folder}/metrics.json"


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
