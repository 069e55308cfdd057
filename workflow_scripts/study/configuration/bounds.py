"""Kinds of numbers that a person writes, with their bounds, each stated here once.

The upper bounds are far above whatever has been trained and below what a job or the DAG could not bear: they find
slips, such as a missing point, before a cluster does. True and false are no numbers here, though Python takes them for
1 and 0.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            "expected a number, not true or false (which YAML reads yes, no, on and off as, too)"
        )
    return value


Number = BeforeValidator(_no_truth)

Side = Annotated[int, Number, Field(gt=0, le=10_000)]
"""Pixels."""
Iterations = Annotated[int, Number, Field(gt=0, le=1_000_000_000)]
Batch = Annotated[int, Number, Field(gt=0, le=100_000)]
Rate = Annotated[float, Number, Field(gt=0, le=1_000)]
Factor = Annotated[float, Number, Field(gt=0, lt=1)]
Momentum = Annotated[float, Number, Field(ge=0, lt=1)]
WeightDecay = Annotated[float, Number, Field(ge=0, le=1)]
Images = Annotated[int, Number, Field(gt=0, le=100_000_000)]
Cost = Annotated[float, Number, Field(ge=0, le=1_000_000)]
"""Seconds, gigabytes, millions of parameters."""
Seed = Annotated[int, Number, Field(ge=0, lt=2**31)]
"""Below 0 is the classifier's (`CLASSIFIER_SEED`), and for detectron2 another one each time."""


MOST_SEEDS = 100
MOST_SCHEDULES = 50
MOST_X = 100
"""Of a schedule, in multiples of 1x, each of which is a job; the paper's longest is 9x."""
MOST_POINTS = 200
"""Of a search's grid, each of which is a training; the paper's scale has 36."""
MOST_EVALUATIONS = 500
"""Of a training in 1x, or in its tail."""


class Numbers(BaseModel):
    """A section of numbers; unknown keys are refused, and so is what is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
