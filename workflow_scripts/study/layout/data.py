"""Where the data of a study lies: real data as configured, else the miniature world, and what is derived from it."""

from collections.abc import Callable
from typing import Any

from workflow_scripts.data.voc import common_folder, pictures_folder
from workflow_scripts.errors import UserError
from workflow_scripts.jobs.sheet import digest
from workflow_scripts.study.compiled.advice import SHARES
from workflow_scripts.study.compiled.recipes import Recipe
from workflow_scripts.study.compiled.segments import Run
from workflow_scripts.study.compiled.study import Study
from workflow_scripts.study.compiled.subsets import subset_sizes
from workflow_scripts.study.configuration.config import (
    ClassificationDataset,
    CocoDataset,
    ImageSet,
    VocDataset,
    VocSplit,
)

CHECKED = ("coco", "keypoints", "voc", "classification")
"""Data sets that are checked, each with its validation set."""
CHECKED_OPTIONS = (
    "train_annotations",
    "train_images",
    "val_annotations",
    "val_images",
    "train",
    "val",
    "needs",
    "subsets",
    "within",
)
"""Options of the command that checks a data set, of which each kind of data has its own."""


class DataLayout:
    """Paths of data. Attributes are patterns with `{wildcards}`; methods give the files of one thing."""

    def __init__(self, study: Study, raw: Callable[[str], Any] = str) -> None:
        """`raw` marks the files of real data, whose identity is their manifest and not their modification time."""
        self._study = study
        self._raw = raw
        self.root = f"{study.config.results}/{study.scale.name}"
        self.data = f"{self.root}/data"
        self.world = f"{self.root}/world"
        self.voc_annotations = f"{self.data}/voc/{{split}}.json"
        self.part = f"{self.data}/split/{{split}}.json"
        self.images = f"{self.data}/images-{{images}}.csv"
        self.crops = f"{self.data}/crops"
        self.checks = f"{self.data}/check-"
        self.check = f"{self.checks}{{checked}}-{{paths}}.json"
        self.check_text = f"{self.checks}{{checked}}-{{paths}}.txt"
        self.fit = f"{self.data}/fit-{{train_set}}.txt"
        self.models_check = f"{self.checks}models-{{models}}.json"
        self.models_text = f"{self.checks}models-{{models}}.txt"

    def image_set(self, train_set: str, split: str) -> ImageSet:
        """Annotations and images of a split of `coco`, its `keypoints` or `voc`: the given ones, or the drawn world's.

        Raises:
            UserError: real data without keypoints, where they are asked for.
        """
        if train_set == "voc":
            folders = [part.folder for part in self.voc_parts(split)]
            return ImageSet(
                annotations=self.voc_annotations.format(split=split), images=common_folder(folders)
            )
        given = self._study.config.datasets.coco
        if given is None:
            folder = f"{self.world}/coco"
            name = "person_keypoints" if train_set == "keypoints" else "instances"
            return ImageSet(
                annotations=f"{folder}/annotations/{name}_{split}.json", images=f"{folder}/{split}"
            )
        instances = self._instances(given, split)
        if train_set == "coco":
            return instances
        if given.keypoints is None:
            raise UserError(
                "config.yaml: datasets.coco.keypoints: missing; list the experiment to see what it needs"
            )
        return ImageSet(annotations=getattr(given.keypoints, split), images=instances.images)

    def _instances(self, given: CocoDataset, split: str) -> ImageSet:
        """The given part of COCO, or what is split off from one set."""
        if given.whole is not None:
            return ImageSet(annotations=self.part.format(split=split), images=given.whole.images)
        part = given.part(split)
        assert part is not None, "the configuration was read"
        return part

    def annotations(self, train_set: str, split: str, subset: str = "all") -> Any:
        """The annotation file of a split or of a subset of COCO train, marked as raw where it is real."""
        if subset != "all":
            return self._subset_file("instances", train_set, subset)
        path = self.image_set(train_set, split).annotations
        given = self._study.config.datasets.coco
        real = given is not None and given.whole is None and train_set != "voc"
        return self._raw(path) if real else path

    def manifest(self, train_set: str, split: str, subset: str = "all") -> str:
        """What identifies a split or a subset."""
        return (
            f"{self.data}/{train_set}-{split}.json"
            if subset == "all"
            else self._subset_file("manifest", train_set, subset)
        )

    def whole(self) -> list[Any]:
        """The annotation file of one set to split, where that is given."""
        given = self._study.config.datasets.coco
        return [self._raw(given.whole.annotations)] if given and given.whole else []

    def split_options(self) -> dict[str, Any]:
        """Options of the command that splits it."""
        given = self._study.config.datasets.coco
        return {"validation": given.validation, "seed": given.seed or 0} if given and given.whole else {}

    # Images

    def image_folder(self, images: str) -> str:
        """The folder that a list of images is about: `coco-train`, `voc-val`, `classification-train`, …"""
        train_set, _, split = images.rpartition("-")
        if train_set == "classification":
            return getattr(self.classification(), split)
        return self.image_set(train_set, split).images

    def image_parts(self, images: str) -> list[str]:
        """The folders within `image_folder` that hold the images; of VOC, those of pictures alone."""
        train_set, _, split = images.rpartition("-")
        if train_set != "voc":
            return [self.image_folder(images)]
        return list(dict.fromkeys(pictures_folder(part.folder) for part in self.voc_parts(split)))

    def image_hashes(self, train_set: str, split: str) -> str:
        """The hashes of a split's images; keypoints are annotated on COCO's."""
        name = "coco" if train_set == "keypoints" else train_set
        return self.images.format(images=f"{name}-{split}")

    def image_source(self, images: str) -> dict[str, str]:
        """What must be there before the images are: the drawn world, where they are of it."""
        train_set = images.rpartition("-")[0]
        if train_set == "classification" and self.cropped:
            return {"crops": self.crops}
        drawn = getattr(self._study.config.datasets, train_set) is None
        return {"world": f"{self.world}/manifest.json"} if drawn else {}

    # VOC

    def voc_parts(self, split: str) -> tuple[VocSplit, ...]:
        """Folders in VOC's layout that make up a split, each with its image list.

        Raises:
            UserError: a scale without a miniature world, and no real data.
        """
        given: VocDataset | None = self._study.config.datasets.voc
        if given is None and self._study.scale.world is None:
            raise UserError("config.yaml: datasets.voc: missing; name the folders and splits of its sets")
        if given is None:
            old, new = (f"{self.world}/voc/{name}" for name in ("VOC2007", "VOC2012"))
            train = (VocSplit(folder=old, split="trainval"), VocSplit(folder=new, split="train"))
            given = VocDataset(train=train, val=VocSplit(folder=new, split="val"))
        return given.train if split == "train" else (given.val,)

    def voc_inputs(self, split: str) -> dict[str, str]:
        """What a split's annotations are made from, beside its folders: the drawn world, and the classes to know."""
        drawn = self._study.config.datasets.voc is None
        world = {"world": f"{self.world}/manifest.json"} if drawn else {}
        return world | ({} if split == "train" else {"classes": self.voc_annotations.format(split="train")})

    # Classification

    def classification(self) -> ClassificationDataset:
        """The image folders to pre-train on.

        Raises:
            UserError: a scale without a miniature world, and no real data.
        """
        if self._study.config.datasets.classification is None and self._study.scale.world is None:
            raise UserError("config.yaml: datasets.classification: missing; name the folders to pre-train on")
        folder = self.crops if self.cropped else f"{self.world}/classification"
        made = ClassificationDataset(train=f"{folder}/train", val=f"{folder}/val")
        return self._study.config.datasets.classification or made

    @property
    def cropped(self) -> str:
        """The data set whose objects are cut out to pre-train on; empty where there are other pictures."""
        return self._study.config.cropped

    def crops_inputs(self) -> dict[str, Any]:
        """What they are cut out of: annotations, and the check of the data, without which nothing is made of it."""
        if not self.cropped:
            return {}
        sets = {f"{split}_annotations": self.annotations(self.cropped, split) for split in ("train", "val")}
        return sets | {"checked": self.check_of(self.cropped, self.check)}

    def crops_options(self) -> dict[str, Any]:
        """Options of the command that cuts them out, beside those."""
        if not self.cropped:
            return {}
        images = {f"{split}_images": self.image_set(self.cropped, split).images for split in ("train", "val")}
        # As much larger than what a classifier sees as the miniature world's pictures are.
        return images | {"side": round(1.25 * self._study.scale.classification.image_side)}

    # Subsets

    def _subset_file(self, what: str, train_set: str, name: str) -> str:
        folder = f"shares-{train_set}" if name in SHARES else "subsets"
        return f"{self.data}/{folder}/{what}_{name}.json"

    def subset_files(self, what: str) -> list[str]:
        """The `instances` or `manifest` file of each nested subset of COCO."""
        return [self._subset_file(what, "coco", name) for name in self._study.scale.subsets]

    def share_files(self, what: str) -> list[str]:
        """The same of each share of a data set on which advice trains: patterns with `{train_set}`."""
        return [self._subset_file(what, "{train_set}", name) for name in SHARES if name != "all"]

    def share_sizes(self) -> list[str]:
        """The shares as NAME=SIZE."""
        return [f"{name}={100 * share:g}%" for name, share in SHARES.items() if name != "all"]

    def subset_sizes(self) -> list[str]:
        """The subsets as NAME=SIZE; with val2014 given, 35k is all of train2017 within it, the paper's val35k."""
        val35k = {"35k": "all"} if self.val2014() else {}
        return [f"{name}={size}" for name, size in (subset_sizes(self._study) | val35k).items()]

    def val2014(self) -> list[Any]:
        """The annotation file that makes val35k, where it is given."""
        given: CocoDataset | None = self._study.config.datasets.coco
        return [self._raw(given.val2014_annotations)] if given and given.val2014_annotations else []

    # Checks

    def check_of(self, checked: str, pattern: str) -> str:
        """A report of the check of a data set, by `check` or `check_text`.

        Its name changes with the data's paths: a refusal of other data removes no report, and no report of other data
        passes for one of these.
        """
        return pattern.format(checked=checked, paths=digest(self.checked_options(checked)))

    def checked_options(self, train_set: str) -> dict[str, Any]:
        """Those of `CHECKED_OPTIONS` that a data set has: its folders, or annotations, images and what is learned."""
        if train_set == "classification":
            return dict(self.classification())
        sets = {split: self.image_set(train_set, split) for split in ("train", "val")}
        options: dict[str, Any] = {f"{split}_images": each.images for split, each in sets.items()}
        options |= {f"{split}_annotations": each.annotations for split, each in sets.items()}
        detectors = {each.detector for each in self._study.recipes.values() if each.train_set == train_set}
        learned = {"mask_rcnn": "masks", "cascade_mask_rcnn": "masks", "keypoint_rcnn": "keypoints"}
        options["needs"] = sorted({learned[name] for name in detectors & learned.keys()})
        return options | (self._drawn() if train_set == "coco" else {})

    def _drawn(self) -> dict[str, Any]:
        """The subsets of given numbers of real images, and the file within whose images they are drawn.

        All of them, where an experiment that is asked for trains on one: one job draws them together.
        """
        given = self._study.config.datasets.coco
        if given is None or all(run.recipe.subset == "all" for run in self._asked_runs()):
            return {}
        numbers = [size for size in self.subset_sizes() if not size.endswith(("%", "=all"))]
        within = {"within": given.val2014_annotations} if given.val2014_annotations else {}
        return {"subsets": numbers, **within} if numbers else {}

    def _asked_runs(self) -> list[Run]:
        """Those of the configuration's experiments, whatever searches choose."""
        return self._study.needed_runs(self._study.config.experiments)

    def checked_inputs(self, train_set: str) -> dict[str, Any]:
        """What must be there before a data set can be checked."""
        if train_set == "classification":
            return self.image_source("classification-train")
        annotations = {
            f"{split}_annotations": self.annotations(train_set, split) for split in ("train", "val")
        }
        name = "coco" if train_set == "keypoints" else train_set
        return annotations | self.image_source(f"{name}-train")

    # A recipe's data

    def trained_on(self, recipe: Recipe) -> dict[str, Any]:
        """Manifest, annotations and hashed images that a recipe trains on; of image folders, the images alone."""
        if recipe.task == "classification":
            return {"images": self.image_hashes("classification", "train")}
        key = (recipe.train_set, "train", recipe.subset)
        return {
            "manifest": self.manifest(*key),
            "annotations": self.annotations(*key),
            "images": self.image_hashes(recipe.train_set, "train"),
        }

    def training_images(self, recipe_name: str) -> str:
        """The folder of pictures that a recipe trains on."""
        recipe = self._study.recipes[recipe_name]
        if recipe.task == "classification":
            return self.classification().train
        return self.image_set(recipe.train_set, "train").images

    def evaluated_on(self, recipe_name: str) -> dict[str, Any]:
        """Manifest, annotations and images of the validation set that a recipe's checkpoints are evaluated on."""
        return self.validated_on(self._study.recipes[recipe_name].train_set)

    def validated_on(self, train_set: str) -> dict[str, Any]:
        """Manifest, annotations and images of the validation set of a training set."""
        return {
            "manifest": self.manifest(train_set, "val"),
            "annotations": self.annotations(train_set, "val"),
            "images": self.image_hashes(train_set, "val"),
        }

    def evaluated_images(self, recipe_name: str) -> str:
        """The folder of that set's images."""
        return self.image_set(self._study.recipes[recipe_name].train_set, "val").images
