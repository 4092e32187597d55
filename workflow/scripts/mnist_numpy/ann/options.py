"""Types of the options that training reads: a model's section of the config, already validated by the schema."""

from typing import Any, Literal, NotRequired, TypedDict

from mnist_numpy.ann.optimizers import OptimizerOptions, ScheduleOptions


class SkipOptions(TypedDict):
    """Which rows an epoch skips (see `rows.choose_rows`)."""

    after: int
    above: float
    keep: float


class ModelOptions(TypedDict):
    """The keys of a model's section of the config that training reads."""

    hidden: list[int]
    input: Literal["pixels", "edges"]
    dtype: Literal["float32", "float64"]
    output_bias: bool
    preprocess: dict[str, Any]
    initializer: Literal["he", "notebook"]
    seed: int
    optimizer: OptimizerOptions
    learning_rate: float
    schedule: ScheduleOptions
    weight_decay: float
    gradient_clip: float
    batch_size: int | Literal["full"]
    log_every: int
    dropout: float
    label_smoothing: float
    ema_decay: float
    augment: dict[str, Any]
    skip_easy: NotRequired[SkipOptions]  # not there if nothing is skipped
