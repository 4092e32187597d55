"""Types of the options that training reads: a model's section of the config, already validated by the schema."""

from typing import Any, Literal, Required, TypedDict


class OptimizerOptions(TypedDict, total=False):
    """The section `optimizer`. The other keys depend on `name`, a key of `optimizers.OPTIMIZERS`."""

    name: Required[str]
    beta_1: float
    beta_2: float
    epsilon: float
    momentum: float
    decay: float
    reset_every: int


class ScheduleOptions(TypedDict, total=False):
    """The section `schedule`. Only `cosine` has the other keys."""

    name: Required[Literal["constant", "cosine"]]
    warm_up: float
    final: float


class ModelOptions(TypedDict):
    """The keys of a model's section of the config that training reads."""

    hidden: list[int]
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
