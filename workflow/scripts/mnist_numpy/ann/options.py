"""The options that training reads: a model's section of the config, which its schema has checked."""

from typing import Any, Literal, Required, TypedDict


class OptimizerOptions(TypedDict, total=False):
    """The section `optimizer`; `name` decides which of the other keys it has (see `optimizers`)."""

    name: Required[Literal["adam", "sgd", "norm_rms"]]
    beta_1: float
    beta_2: float
    epsilon: float
    momentum: float
    decay: float
    reset_every: int


class ScheduleOptions(TypedDict, total=False):
    """The section `schedule`; the other keys are those of the cosine."""

    name: Required[Literal["constant", "cosine"]]
    warm_up: float
    final: float


class ModelOptions(TypedDict):
    """A model's section of the config, as far as training reads it."""

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
