"""The types of the options that training reads: a model's section of the config, checked by its schema."""

from typing import Any, Literal, TypedDict


class AdamOptions(TypedDict):
    """Options of `optimizers.Adam`."""

    name: Literal["adam"]
    beta_1: float
    beta_2: float
    epsilon: float


class SgdOptions(TypedDict):
    """Options of `optimizers.Sgd`."""

    name: Literal["sgd"]
    momentum: float


class NormRmsOptions(TypedDict):
    """Options of `optimizers.NormRms`."""

    name: Literal["norm_rms"]
    decay: float
    epsilon: float
    reset_every: int


class ConstantOptions(TypedDict):
    """Options of a constant learning rate."""

    name: Literal["constant"]


class CosineOptions(TypedDict):
    """Options of a cosine schedule; `warm_up` counts epochs, `final` is a share of the peak."""

    name: Literal["cosine"]
    warm_up: float
    final: float


OptimizerOptions = AdamOptions | SgdOptions | NormRmsOptions
ScheduleOptions = ConstantOptions | CosineOptions


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
