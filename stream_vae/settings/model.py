"""The settings: the configs of all packages in one model."""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic_core import CoreSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream_vae.core.assembly_config import AssemblyConfig
from stream_vae.core.feature_rule import parse_rule
from stream_vae.core.model_spec import FeatureKind
from stream_vae.detect.config import DetectConfig
from stream_vae.edges.http.config import HttpConfig
from stream_vae.edges.http.page_config import PageConfig
from stream_vae.edges.kafka.config import KafkaConfig
from stream_vae.edges.receivers.config import ForwardConfig
from stream_vae.edges.registry.config import RegistryConfig
from stream_vae.edges.telemetry.config import LoggingConfig
from stream_vae.errors import ConfigError
from stream_vae.inputs.log_lines.log_format import LogFormat
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.models.config import ArchitectureConfig, TrainingConfig

PREFIX = "STREAM_VAE_"
NESTING = "__"
TOPIC_PATTERN = r"^[A-Za-z0-9._-]{1,249}$"
_MOST_PATTERNS = 100
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]+)?)$"
Topic = Annotated[str, StringConstraints(pattern=TOPIC_PATTERN)]
Device = Annotated[str, StringConstraints(pattern=DEVICE_PATTERN)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """Identity of the deployment, as shown in alert events."""

    name: Annotated[str, MinLen(1)] = "stream-vae"
    """Name of this deployment; part of every alert event."""

    labels: dict[str, str] = field(default_factory=dict)
    """Copied into every alert event (site, team)."""

    links: dict[str, str] = field(default_factory=dict)
    """Copied into every alert event (runbook, dashboard): name -> URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleConfig:
    """The trained model."""

    path: Path = Path("bundle")
    """Folder written by `stream-vae train`."""


class _Described(BaseModel, use_attribute_docstrings=True):
    reading: ReadingFormat
    lines: LogFormat
    architecture: ArchitectureConfig


def _describe_inherited(
    schema: dict[str, Any], *bases: Literal["ReadingFormat", "LogFormat", "ArchitectureConfig"]
) -> dict[str, Any]:
    """Describe inherited fields too; pydantic reads the docstrings of the class itself alone."""
    described = _Described.model_json_schema()["$defs"]
    for base in bases:
        for name, spec in described[base]["properties"].items():
            if "description" in spec:
                schema["properties"][name].setdefault("description", spec["description"])
    return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class InputConfig(LogFormat):
    """Input topic and record format."""

    topic: Topic = "stream-vae.readings"
    """Topic that readings are consumed from."""

    wait_steps: Annotated[float, Ge(0), Le(1e6)] = 1.0
    """Longest wait, in steps of the model, for the rest of a step of which some features have come:
    then, as when a later step of its series begins, it is judged as it is. Measured by the times of
    the records in its partition, so that a replay decides the same."""

    wait_s: Annotated[float, Ge(0), Le(1e9)] | None = None
    """The same in seconds; set, it takes the place of `input.wait_steps`."""

    lateness_steps: Annotated[int, Ge(0), Le(1000)] = 1
    """Steps before the newest one of a series that are still open: readings for them are put in
    their places and judged. Older ones are late."""

    max_leap_steps: Annotated[int, Ge(0), Le(1_000_000)] = 20
    """A reading so many steps ahead of its series, and as far ahead of its record's own time, is a
    dead letter (`timestamp_leap`) unless the one after it confirms it: one wrong clock reading must
    not make all after it late. 0: no limit."""

    rules: dict[str, str] = field(default_factory=dict)
    """Feature, or a pattern of several (`system.cpu.time.*`), -> rule, as `train --rule` takes it:
    `scale:FACTOR`, `difference` or `rate` of a counter, `hold:SECONDS` of a value sent on change,
    with commas between several. `train` writes them into the bundle; a daemon that is given others
    than its bundle's refuses to start."""

    def __post_init__(self) -> None:
        """Validate the fields."""
        LogFormat.__post_init__(self)
        for pattern, rule in self.rules.items():
            try:
                parse_rule(rule)
            except ValueError as exc:
                msg = f"rules: {pattern}: {exc}"
                raise ValueError(msg) from None

    @property
    def assembly(self) -> AssemblyConfig:
        """How readings become steps."""
        return AssemblyConfig(
            wait_steps=self.wait_steps,
            wait_s=self.wait_s,
            lateness_steps=self.lateness_steps,
            max_leap_steps=self.max_leap_steps,
            sessions=self.sessions,
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the inherited fields too."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        return _describe_inherited(schema, "ReadingFormat", "LogFormat")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig(ArchitectureConfig):
    """Shape of the network and kinds of its features. A change requires retraining."""

    features: dict[str, FeatureKind] = field(default_factory=dict)
    """Feature -> kind, as `--kind` declares; for columns not named here see `training.kinds`.
    `count`: whole numbers of 0 or more. `binary`: 0 and 1, or true and false. `categorical`: any
    text or number, each a value of its own. `numeric`: everything else."""

    @property
    def architecture(self) -> ArchitectureConfig:
        """The shape of the network alone."""
        own = {one.name: getattr(self, one.name) for one in fields(ArchitectureConfig)}
        return ArchitectureConfig(**own)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the inherited fields too."""
        return _describe_inherited(
            handler.resolve_ref_schema(handler(core_schema)), "ArchitectureConfig"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConfig:
    """Output topics. All are written in one transaction with the offsets."""

    alerts_topic: Topic = "stream-vae.alerts"
    """Alert events, JSON, keyed by series."""

    dead_letter_topic: Topic = "stream-vae.dead-letters"
    """Records that cannot be decoded, unchanged, with the reason in the headers."""

    late_topic: Topic = "stream-vae.late"
    """Readings older than their series' open steps, unchanged."""

    scores_topic: Topic | None = None
    """Scores of single readings, JSON, keyed by series, of the series that `scores_series` names;
    unset, none are published."""

    scores_series: tuple[str, ...] = ()
    """Series whose scores are published: names, with `*` and `?` for any characters; 100 at
    most."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        if (self.scores_topic is None) != (not self.scores_series):
            msg = "scores_topic and scores_series must be given together"
            raise ValueError(msg)
        if len(self.scores_series) > _MOST_PATTERNS or not all(self.scores_series):
            msg = (
                f"scores_series: found {len(self.scores_series)} entries, expected {_MOST_PATTERNS}"
                " at most, none of them empty"
            )
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateConfig:
    """State of the series, and its persistence."""

    changelog: bool = True
    """Keep the state in a compacted topic, written in the daemon's transactions. Without it every
    restart warms up again and loses open incidents."""

    topic: Topic | None = None
    """The compacted topic; unset, `<kafka.group_id>-changelog`. Every group needs its own."""

    snapshot_interval_s: Annotated[float, Gt(0), Le(1e9)] = 30.0
    """Time in which every changed series is written once; a restart after a crash replays up to
    twice as much input. Longer reduces broker load: a series is some kilobytes each time."""

    memory_budget_mb: Annotated[float, Gt(0), Le(1e9)] = 512.0
    """Memory for the state of all series of this instance; beyond it the longest idle are evicted,
    those that never filled a window first. It must hold twice `kafka.poll_records`."""

    series_ttl_s: Annotated[float, Gt(0), Le(1e9)] = 604_800.0
    """Time without a reading after which a series is evicted."""

    history_age_s: Annotated[float, Gt(0), Le(1e9)] = 86_400.0
    """How far back the input is re-read to warm up (`kafka.start: history`, or a model of another
    shape)."""

    history_readings: Annotated[int, Ge(1)] = 200_000
    """Most records per partition re-read to warm up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """The thread that owns the model and its device."""

    device: Device = "auto"
    """`auto` uses CUDA if there is a device."""

    max_batch: Annotated[int, Ge(1), Le(65536)] = 256
    """Most windows scored by one call of the model."""

    max_wait_ms: Annotated[float, Ge(0), Le(60_000)] = 20.0
    """Longest wait for a poll's records to form a batch; adds to the latency of an alert."""

    max_in_flight: Annotated[int, Ge(1), Le(10_000_000)] = 8192
    """Records queued for the model at which the daemon pauses the input."""

    threads: Annotated[int, Ge(1), Le(1024)] = 1
    """CPU threads of one model call. Small networks gain nothing from more."""

    def __post_init__(self) -> None:
        """Validate the fields against each other."""
        if self.max_in_flight < self.max_batch:
            msg = (
                f"max_in_flight ({self.max_in_flight}) must be >= max_batch ({self.max_batch}), "
                "or no batch can fill"
            )
            raise ValueError(msg)


class Settings(BaseSettings):
    """Settings of stream-vae.

    Defaults < YAML < secrets directory < environment (`STREAM_VAE_…`, `__` between section and
    name) < flags. Unknown names are refused.
    """

    model_config = SettingsConfigDict(
        title="stream-vae",
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        case_sensitive=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    detector: DetectorConfig = Field(default_factory=DetectorConfig)
    """Identity of the deployment."""

    bundle: BundleConfig = Field(default_factory=BundleConfig)
    """The trained model."""

    input: InputConfig = Field(default_factory=InputConfig)
    """Input topic and record format."""

    output: OutputConfig = Field(default_factory=OutputConfig)
    """Output topics."""

    kafka: KafkaConfig = Field(default_factory=KafkaConfig)
    """Brokers, group and client properties."""

    registry: RegistryConfig = Field(default_factory=RegistryConfig)
    """Schema registry of the input (`input.format: registry`)."""

    detect: DetectConfig = Field(default_factory=DetectConfig)
    """How windows are scored and judged."""

    state: StateConfig = Field(default_factory=StateConfig)
    """State of the series."""

    worker: WorkerConfig = Field(default_factory=WorkerConfig)
    """The thread that owns the model and its device."""

    forward: ForwardConfig = Field(default_factory=ForwardConfig)
    """One receiver of alert events; read by `forward` alone."""

    http: HttpConfig = Field(default_factory=HttpConfig)
    """HTTP endpoint for probes and Prometheus."""

    page: PageConfig = Field(default_factory=PageConfig)
    """The live page."""

    logging: LoggingConfig = Field(default_factory=LoggingConfig)
    """What is logged, and how it looks."""

    model: ModelConfig = Field(default_factory=ModelConfig)
    """Shape of the network and kinds of its features; read by `train` alone."""

    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """How a network is fitted; read by `train` alone."""

    shutdown_deadline_s: Annotated[float, Gt(0), Le(1e9)] = 30.0
    """Longest time from SIGTERM to the exit; input not committed by then is read again by the next
    instance. Must be shorter than the cluster's grace period."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let a bare `Settings()` be all defaults; `load_settings` brings sources of its own."""
        return (init_settings,)

    @property
    def changelog_topic(self) -> str | None:
        """The topic that keeps the state; None if there is none."""
        if not self.state.changelog:
            return None
        return self.state.topic or f"{self.kafka.group_id}-changelog"

    @property
    def forward_group(self) -> str:
        """The consumer group of a forwarder."""
        forward = self.forward
        return forward.group_id or f"{self.kafka.group_id}-forward-{forward.name or forward.to}"

    @model_validator(mode="after")
    def _name_a_changelog_topic(self) -> Self:
        topic = self.changelog_topic
        if topic is not None and not re.fullmatch(TOPIC_PATTERN, topic):
            msg = (
                f"kafka.group_id ({self.kafka.group_id!r}) makes no topic name: expected letters, "
                "digits, '.', '_' and '-', 239 at most; set state.topic"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _refuse_masks(self) -> Self:
        if self.training.masks:
            from stream_vae.logs.masks import with_masks  # noqa: PLC0415 -- few have masks

            try:
                with_masks(self.training.masks)
            except ConfigError as exc:
                msg = f"training.masks: {exc}"
                raise ValueError(msg) from None
        return self

    @model_validator(mode="after")
    def _hold_topics_apart(self) -> Self:
        used: dict[str, str] = {}
        for name, topic in (
            ("input.topic", self.input.topic),
            ("output.alerts_topic", self.output.alerts_topic),
            ("output.dead_letter_topic", self.output.dead_letter_topic),
            ("output.late_topic", self.output.late_topic),
            ("output.scores_topic", self.output.scores_topic),
            ("state.topic", self.changelog_topic),
        ):
            if topic is None:
                continue
            if topic in used:
                msg = f"{used[topic]} and {name} are both {topic!r}; expected two topics"
                raise ValueError(msg)
            used[topic] = name
        return self
