"""A bundle as two files with checksums, and back.

`weights.safetensors` holds the tensors of network and likelihood, `model.json` everything else
scoring needs, with the SHA-256 of the weights and of its own content. No pickle is read or written.

Since format 2 the fitted tensors of scores are stored with the weights as `score.NAME.TENSOR`; it
is written only if there is such a tensor. The recency score's variances stay in `model.json`, where
format 1 has them, so that the same training keeps its version. For the same reason options younger
than format 1 are written only where they differ from their default.

Format 3 is written if a feature is not numeric, an option of the architecture younger than format 1
is used, thresholds were chosen on labels, a rhythm was found, or lines of logs are counted: earlier
releases would take no notice of it. Kinds tell how features are scaled. Format 4 is written if a
feature has a rule.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from stream_vae.core.coverage import Coverage
from stream_vae.core.feature_rule import FeatureRule, parse_rule, refuse_unfit
from stream_vae.core.log_templates import LogSpec
from stream_vae.core.model_spec import Criterion, Feature, FeatureKind, ModelSpec
from stream_vae.core.scaler_fitting import transforms_of
from stream_vae.core.scaling import Scaler
from stream_vae.core.score_names import RENAMED
from stream_vae.errors import BundleError
from stream_vae.models.bounds import out_of_bounds
from stream_vae.models.bundle import Bundle, build_score
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE
from stream_vae.models.bundle_trial import try_bundle
from stream_vae.models.config import ArchitectureConfig, TrainingConfig
from stream_vae.models.provenance import TrainingSummary
from stream_vae.models.scores import SCORES
from stream_vae.models.scores.combined import Combined
from stream_vae.models.scores.error import Recency
from stream_vae.models.scores.score import Score
from stream_vae.models.scores.supervised import Supervised
from stream_vae.models.scores.tracked import Tracked, tracking_of

FORMAT = "stream-vae-model"
FORMAT_VERSIONS = (1, 2, 3, 4)
"""Readable versions; a bundle is written in the lowest that can hold it."""

_VERSION_DIGITS = 16
_LONGEST_WINDOW_S = 9e9
"""Nanoseconds of a window are counted in 64 bits."""
_SCORE_PREFIX = "score."
_VARIANCE = "residual_variance"
_COVERAGE = "coverage"
"""Stands where a score's name does, for what all scores have; earlier releases ignore it."""

_OUTDATED = {Supervised.name: frozenset({"centre", "scale", "support", "weight", "bias"})}
"""Score -> its tensors in earlier releases, which do not give the score that it is now."""

_ALWAYS_WRITTEN = frozenset(
    {
        "window_length",
        "hidden_size",
        "latent_size",
        "calendar",
        "sigma_floor",
        "epochs",
        "min_steps",
        "max_steps",
        "batch_size",
        "stride",
        "learning_rate",
        "weight_decay",
        "gradient_clip",
        "beta",
        "annealing",
        "free_bits",
        "denoising",
        "missing_rate",
        "patience",
        "validation_fraction",
        "calibration_fraction",
        "seed",
        "device",
    }
)
"""Options of format 1."""

_LATER_SUMMARY = ("trimmed", "folds", "search", "faults")
"""What format 3 tells of a training beside what format 1 does, where there is something to tell."""


def with_version(bundle: Bundle) -> Bundle:
    """Return the bundle with the version computed from its content.

    The version is a hash of everything that determines scores, without the model's name and the
    time of training, so the same training gives the same version.
    """
    document = _to_document(bundle, weights_sha256=_sha256(_encode_tensors(bundle)))
    decisive = [
        document.weights_sha256,
        document.features,
        document.step_seconds,
        _to_fields(document)["architecture"],
        document.scaler,
        document.score,
        document.noise_seed,
        document.residual_variance,
        document.calibration,
        # The ring of scores reaches over the rhythm. Without one the version is that of format 1.
        *([document.cycle_steps] if document.cycle_steps else []),
        *(_counted(document.logs)),
    ]
    version = _sha256(msgspec.json.encode(decisive, order="sorted"))[:_VERSION_DIGITS]
    return replace(bundle, spec=replace(bundle.spec, version=version))


def _counted(logs: LogSpec | None) -> list[object]:
    """Return what decides how lines are counted."""
    if logs is None:
        return []
    return [[(one.pattern, one.feature) for one in logs.templates], list(logs.masks)]


def encode_bundle(bundle: Bundle) -> dict[str, bytes]:
    """Return the bundle's files by name."""
    weights = _encode_tensors(bundle)
    document = _to_document(bundle, weights_sha256=_sha256(weights))
    document.content_sha256 = _content_sha256(msgspec.json.encode(_to_fields(document)))
    indented = msgspec.json.format(msgspec.json.encode(_to_fields(document)).decode(), indent=2)
    return {
        WEIGHTS_FILE: weights,
        MODEL_FILE: (_number_lists_on_one_line(indented) + "\n").encode(),
    }


def decode_bundle(files: Mapping[str, bytes]) -> Bundle:
    """Return the bundle that `encode_bundle` encoded; its scores are exactly the same.

    Raises:
        BundleError: If a file is missing, truncated, altered, of a newer format, or holds values
            of a wrong type or that are not finite; names file, field, found and expected.
    """
    for name in (MODEL_FILE, WEIGHTS_FILE):
        if name not in files:
            raise BundleError(f"{name}: missing; a bundle is {MODEL_FILE} and {WEIGHTS_FILE}")
    document = _decode_document(files[MODEL_FILE])
    tensors = _decode_tensors(files[WEIGHTS_FILE], document)
    bundle = _without_outdated(_to_bundle(document, tensors))
    scores = _scores_of(bundle)
    for score in scores:
        if isinstance(score, Tracked):
            _check_usual(score, len(bundle.spec.features))
    try_bundle(bundle, scores)
    tracking = tracking_of(bundle.score_states)
    states = dict(bundle.score_states)
    coverage = _coverage(states.pop(_COVERAGE, {}))
    spec = replace(bundle.spec, tracking=tracking, coverage=coverage)
    return replace(bundle, spec=spec, score_states=states)


def _scores_of(bundle: Bundle) -> list[Score]:
    """Return the scores that the bundle has the tensors of, or that have none."""
    cpu = torch.device("cpu")
    names = bundle.score_states.keys() | {n for n, kind in SCORES.items() if not fields(kind)}
    return [build_score(bundle, name, cpu) for name in SCORES if name in names]


def _check_usual(score: Tracked, n_features: int) -> None:
    """Reject what is usual of other members or features than the bundle's, or of nothing."""
    expected = (score.n_members, n_features)
    for name in ("variance", "bias", "level"):
        found = tuple(getattr(score, name).shape)
        if found != expected:
            raise BundleError(
                f"{WEIGHTS_FILE}: score.{score.name}.{name}: found shape {found}, expected "
                f"{expected}, a row per member and a column per feature"
            )
    if bool((score.variance < 0).any()):
        raise BundleError(
            f"{WEIGHTS_FILE}: score.{score.name}.variance: found {float(score.variance.min()):g}, "
            "expected >= 0"
        )
    if score.against_constant.shape != expected[:1]:
        raise BundleError(
            f"{WEIGHTS_FILE}: score.{score.name}.against_constant: found shape "
            f"{tuple(score.against_constant.shape)}, expected ({expected[0]},), one per member"
        )


def _without_outdated(bundle: Bundle) -> Bundle:
    """Return the bundle without scores whose fit is an earlier release's: the others still hold.

    One that the bundle was given as its score stays, and is refused.
    """
    states = bundle.score_states
    outdated: set[str] = set()
    for name, former in _OUTDATED.items():
        if states.get(name, {}).keys() == former:
            outdated.add(name)
            if any(one.startswith(f"{name}.") for one in states.get(Combined.name, {})):
                outdated.add(Combined.name)
    outdated.discard(bundle.spec.score)
    if not outdated:
        return bundle
    spec = bundle.spec
    return replace(
        bundle,
        score_states={name: one for name, one in states.items() if name not in outdated},
        spec=replace(
            spec,
            calibration={n: one for n, one in spec.calibration.items() if n not in outdated},
            labelled_thresholds={
                n: one for n, one in spec.labelled_thresholds.items() if n not in outdated
            },
        ),
    )


class _Header(msgspec.Struct):
    format: str
    format_version: int


class _Feature(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    name: str
    unit: str
    kind: FeatureKind = "numeric"
    categories: tuple[str, ...] = ()
    rule: str = ""


class _Scaler(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    mean: list[float]
    std: list[float]
    clip: float


class _Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    format: str
    format_version: int
    content_sha256: str
    weights_sha256: str
    id: str
    version: str
    trained_at: Annotated[datetime, msgspec.Meta(tz=True)]
    features: Annotated[list[_Feature], msgspec.Meta(min_length=1)]
    step_seconds: Annotated[float, msgspec.Meta(ge=1e-9, le=_LONGEST_WINDOW_S)]
    architecture: ArchitectureConfig
    scaler: _Scaler
    score: str
    noise_seed: Annotated[int, msgspec.Meta(ge=0)]
    residual_variance: list[float]
    training: TrainingSummary
    calibration: dict[str, Annotated[list[float], msgspec.Meta(min_length=2)]]
    labelled_thresholds: dict[str, dict[Criterion, float]] = {}
    cycle_steps: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    logs: LogSpec | None = None


def _to_document(bundle: Bundle, *, weights_sha256: str) -> _Document:
    spec = bundle.spec
    scaler = spec.scaler
    document = _Document(
        format=FORMAT,
        format_version=_lowest_format(bundle),
        content_sha256="",
        weights_sha256=weights_sha256,
        id=spec.id,
        version=spec.version,
        trained_at=spec.trained_at,
        features=[
            _Feature(
                name=feature.name,
                unit=feature.unit,
                kind=feature.kind,
                categories=feature.categories,
                rule=feature.rule.text if feature.rule else "",
            )
            for feature in spec.features
        ],
        step_seconds=spec.step_seconds,
        architecture=_with_cell_named(bundle.architecture),
        scaler=_Scaler(mean=scaler.mean.tolist(), std=scaler.std.tolist(), clip=scaler.clip),
        score=spec.score,
        noise_seed=bundle.noise_seed,
        residual_variance=bundle.score_states[Recency.name][_VARIANCE].tolist(),
        training=bundle.training,
        calibration={name: levels.tolist() for name, levels in spec.calibration.items()},
        labelled_thresholds={name: dict(found) for name, found in spec.labelled_thresholds.items()},
        cycle_steps=spec.cycle_steps,
        logs=spec.logs,
    )
    # One JSON round trip: an integer given for a float must hash as the float that is read back.
    return msgspec.json.decode(msgspec.json.encode(document), type=_Document)


def _lowest_format(bundle: Bundle) -> int:
    """Return the lowest version that can hold the bundle."""
    if any(feature.rule for feature in bundle.spec.features):
        return 4
    is_numeric = all(feature.kind == "numeric" for feature in bundle.spec.features)
    is_later = _later_options(bundle.architecture) or bundle.spec.labelled_thresholds
    is_told_more = any(getattr(bundle.training, name) for name in _LATER_SUMMARY)
    if not is_numeric or is_later or is_told_more or bundle.spec.cycle_steps:
        return 3
    return 2 if _score_tensors(bundle) else 1


def _later_options(architecture: ArchitectureConfig) -> bool:
    """Return whether an option that format 1 lacks is off its default."""
    plain, written = ArchitectureConfig(), msgspec.to_builtins(_with_cell_named(architecture))
    return any(written[name] != getattr(plain, name) for name in written.keys() - _ALWAYS_WRITTEN)


def _leave_out_usual(logs: dict[str, Any]) -> None:
    """Leave out of the logs of a document what earlier releases had not, at its default."""
    if logs["examples"] == "raw":
        del logs["examples"]
    if logs["absences"] is None:
        del logs["absences"]
    for template in logs["templates"]:
        if not template["absence"]:
            del template["absence"]


def _to_fields(document: _Document) -> dict[str, Any]:
    """Return the document as JSON has it, without options that format 1 lacks at their default."""
    fields: dict[str, Any] = msgspec.to_builtins(document)
    if not document.labelled_thresholds:
        del fields["labelled_thresholds"]
    for name in _LATER_SUMMARY:
        if not getattr(document.training, name):
            del fields["training"][name]
    for name in ("cycle_steps", "logs"):
        if not fields[name]:
            del fields[name]
    if document.logs is not None:
        _leave_out_usual(fields["logs"])
    for options, config in (
        (fields["architecture"], ArchitectureConfig()),
        (fields["training"]["config"], TrainingConfig()),
    ):
        for name in options.keys() - _ALWAYS_WRITTEN:
            if options[name] == getattr(config, name):
                del options[name]
    return fields


def _with_cell_named(architecture: ArchitectureConfig) -> ArchitectureConfig:
    """Return the architecture as written: a file without a cell is of an LSTM for any length."""
    return (
        replace(architecture, cell="feed_forward") if architecture.is_feed_forward else architecture
    )


def _with_cell_as_written(architecture: ArchitectureConfig, content: bytes) -> ArchitectureConfig:
    """Return the architecture as read: releases that knew LSTMs alone wrote no cell."""
    if architecture.window_length > 1 or "cell" in msgspec.json.decode(content)["architecture"]:
        return architecture
    return replace(architecture, cell="lstm")


def _to_bundle(document: _Document, tensors: Mapping[str, Tensor]) -> Bundle:
    features = tuple(
        Feature(
            name=one.name,
            unit=one.unit,
            kind=one.kind,
            categories=one.categories,
            rule=_rule(one, is_event=document.architecture.window_length == 1),
        )
        for one in document.features
    )
    spec = ModelSpec(
        id=document.id,
        version=document.version,
        trained_at=document.trained_at,
        features=features,
        window_length=document.architecture.window_length,
        step_seconds=document.step_seconds,
        scaler=Scaler(
            mean=np.array(document.scaler.mean),
            std=np.array(document.scaler.std),
            clip=document.scaler.clip,
            transforms=transforms_of(features),
        ),
        score=RENAMED.get(document.score, document.score),
        calibration={
            RENAMED.get(name, name): np.array(levels)
            for name, levels in document.calibration.items()
        },
        labelled_thresholds=document.labelled_thresholds,
        cycle_steps=document.cycle_steps,
        logs=document.logs,
    )
    return Bundle(
        spec=spec,
        architecture=document.architecture,
        weights={
            name: tensor for name, tensor in tensors.items() if not _is_of_score(name, document)
        },
        score_states=_score_states(document, tensors),
        noise_seed=document.noise_seed,
        training=document.training,
    )


def _rule(feature: _Feature, *, is_event: bool) -> FeatureRule | None:
    if not feature.rule:
        return None
    try:
        rule = parse_rule(feature.rule)
        refuse_unfit(rule, feature.kind, is_event=is_event)
    except ValueError as error:
        raise BundleError(f"{MODEL_FILE}: features: {feature.name}: rule: {error}") from error
    return rule


def _decode_document(content: bytes) -> _Document:
    try:
        header = msgspec.json.decode(content, type=_Header)
        if header.format != FORMAT:
            raise BundleError(f"{MODEL_FILE}: format: found {header.format!r}, expected {FORMAT!r}")
        if header.format_version not in FORMAT_VERSIONS:
            raise BundleError(
                f"{MODEL_FILE}: format_version: found {header.format_version}, expected one of "
                f"{list(FORMAT_VERSIONS)}, which this version of stream-vae reads"
            )
        document = msgspec.json.decode(content, type=_Document)
        document.architecture = _with_cell_as_written(document.architecture, content)
    except msgspec.ValidationError as error:
        raise BundleError(f"{MODEL_FILE}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{MODEL_FILE}: truncated or not JSON: {error}") from error
    _check_values(document)
    expected = _content_sha256(content)
    if document.content_sha256 != expected:
        raise BundleError(
            f"{MODEL_FILE}: altered after it was written: content_sha256: found "
            f"{document.content_sha256!r}, expected {expected!r} for this content"
        )
    return document


def _check_values(document: _Document) -> None:
    """Reject values that training never writes."""
    _check_bounds(document)
    names = [feature.name for feature in document.features]
    _check_templates(document.logs, names)
    if len(set(names)) != len(names):
        raise BundleError(f"{MODEL_FILE}: features: found {names}, expected unique names")
    for feature in document.features:
        n_categories = len(set(feature.categories))
        if n_categories < len(feature.categories) or (
            n_categories and feature.kind != "categorical"
        ):
            raise BundleError(
                f"{MODEL_FILE}: features: {feature.name}: found kind {feature.kind!r} with "
                f"categories {list(feature.categories)}, expected unique ones of a categorical "
                "feature"
            )
    if document.architecture.calendar == "auto":
        raise BundleError(
            f"{MODEL_FILE}: architecture.calendar: found 'auto', expected true or false, as "
            "training decided"
        )
    _check_numbers("scaler.mean", document.scaler.mean, length=len(names))
    _check_numbers("scaler.std", document.scaler.std, length=len(names), above=0)
    _check_numbers("scaler.clip", [document.scaler.clip], length=1, above=0)
    _check_numbers("residual_variance", document.residual_variance, length=len(names), at_least=0)
    if RENAMED.get(document.score, document.score) not in SCORES or (
        document.score not in document.calibration
    ):
        raise BundleError(
            f"{MODEL_FILE}: score: found {document.score!r}, expected one of {sorted(SCORES)} that "
            f"is calibrated ({sorted(document.calibration)})"
        )
    for name, levels in document.calibration.items():
        array = _check_numbers(f"calibration.{name}", levels, length=len(levels))
        if np.any(np.diff(array) < 0):
            raise BundleError(
                f"{MODEL_FILE}: calibration.{name}: found descending quantiles, expected ascending"
            )
    for name, found in document.labelled_thresholds.items():
        field = f"labelled_thresholds.{name}"
        _check_numbers(field, list(found.values()), length=len(found))
        if name not in document.calibration:
            raise BundleError(
                f"{MODEL_FILE}: {field}: found a threshold of a score without calibration, "
                f"expected one of {sorted(document.calibration)}"
            )


def _check_templates(logs: LogSpec | None, names: Sequence[str]) -> None:
    templates = () if logs is None else logs.templates
    lost = next((one for one in templates if one.feature not in names), None)
    if lost is not None:
        raise BundleError(
            f"{MODEL_FILE}: logs: template {lost.id}: found feature {lost.feature!r}, expected "
            "one of the features"
        )
    n_tried = 0 if logs is None or logs.absences is None else len(logs.absences.steps)
    for one in templates:
        if len(one.absence) not in {0, n_tried}:
            raise BundleError(
                f"{MODEL_FILE}: logs: template {one.id}: absence: found {len(one.absence)} "
                f"numbers, expected none or {n_tried}, one for each of absences.steps"
            )


def _check_bounds(document: _Document) -> None:
    """Reject numbers outside the bounds that their types declare."""
    for place, kind in (("architecture", ArchitectureConfig), ("training", TrainingSummary)):
        for wrong in out_of_bounds(getattr(document, place), kind, place):
            raise BundleError(f"{MODEL_FILE}: {wrong}")
    if document.architecture.window_length * document.step_seconds > _LONGEST_WINDOW_S:
        raise BundleError(
            f"{MODEL_FILE}: step_seconds: found {document.step_seconds:g} with windows of "
            f"{document.architecture.window_length} steps, expected {_LONGEST_WINDOW_S:g} s at "
            "most in all"
        )


def _check_numbers(
    field: str,
    numbers: list[float],
    *,
    length: int,
    above: float = -np.inf,
    at_least: float = -np.inf,
) -> NDArray[np.float64]:
    array = np.array(numbers, dtype=np.float64)
    if len(array) != length:
        raise BundleError(
            f"{MODEL_FILE}: {field}: found {len(array)} numbers, expected {length}, one per feature"
        )
    wrong = ~np.isfinite(array) | (array <= above) | (array < at_least)
    if wrong.any():
        limit = f"> {above}" if above > at_least else f">= {at_least}"
        raise BundleError(
            f"{MODEL_FILE}: {field}: found {array[wrong][0]}, expected finite numbers {limit}"
        )
    return array


def _score_states(
    document: _Document, tensors: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """Return score -> tensor's name -> tensor, including scores unknown to this version."""
    variance = torch.tensor(document.residual_variance, dtype=torch.float64)
    states = {Recency.name: {_VARIANCE: variance}}
    for name, tensor in tensors.items():
        if _is_of_score(name, document):
            score, _, own_name = name.removeprefix(_SCORE_PREFIX).partition(".")
            states.setdefault(score, {})[own_name] = tensor
    return states


def _score_tensors(bundle: Bundle) -> dict[str, Tensor]:
    """Return the fitted tensors of scores by name in the file, except those in `model.json`."""
    fitted = {
        f"{_SCORE_PREFIX}{score}.{name}": tensor
        for score, state in bundle.score_states.items()
        for name, tensor in state.items()
        if (score, name) != (Recency.name, _VARIANCE)
    }
    return fitted | {
        f"{_SCORE_PREFIX}{_COVERAGE}.{score}": torch.from_numpy(
            np.stack([found.missing, found.median, found.high])
        )
        for score, found in bundle.spec.coverage.items()
    }


def _coverage(state: Mapping[str, Tensor]) -> dict[str, Coverage]:
    """Return score -> its coverage.

    Raises:
        BundleError: If a tensor is not one.
    """
    for score, tensor in state.items():
        if tensor.ndim != 2 or len(tensor) != 3 or not tensor.shape[1]:
            raise BundleError(
                f"{WEIGHTS_FILE}: score.{_COVERAGE}.{score}: found shape {tuple(tensor.shape)}, "
                "expected (3, n)"
            )
    columns = {score: tensor.double().numpy() for score, tensor in state.items()}
    for score, (missing, *_) in columns.items():
        if (np.diff(missing) <= 0).any():
            raise BundleError(
                f"{WEIGHTS_FILE}: score.{_COVERAGE}.{score}: found missing shares "
                f"{missing.tolist()} in its first row, expected them to ascend"
            )
    return {
        score: Coverage(missing=found[0], median=found[1], high=found[2])
        for score, found in columns.items()
    }


def _is_of_score(name: str, document: _Document) -> bool:
    return document.format_version > 1 and name.startswith(_SCORE_PREFIX)


def _encode_tensors(bundle: Bundle) -> bytes:
    tensors = {**bundle.weights, **_score_tensors(bundle)}
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})


def _decode_tensors(content: bytes, document: _Document) -> dict[str, Tensor]:
    found = _sha256(content)
    if found != document.weights_sha256:
        raise BundleError(
            f"{WEIGHTS_FILE}: truncated or altered: found SHA-256 {found}, expected "
            f"{document.weights_sha256} (weights_sha256 in {MODEL_FILE})"
        )
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise BundleError(f"{WEIGHTS_FILE}: not a safetensors file: {error}") from error
    for name, tensor in tensors.items():
        sound = tensor.is_floating_point() and bool(torch.isfinite(tensor).all())
        if not sound or (tensor.dtype != torch.float32 and not _is_of_score(name, document)):
            raise BundleError(
                f"{WEIGHTS_FILE}: {name}: found {tensor.dtype} numbers, some not finite or not "
                "float32, expected finite float32"
            )
    return tensors


def _content_sha256(content: bytes) -> str:
    """Hash a document as it was written, fields unknown to this version included, without its hash.

    Numbers keep every bit in msgspec's JSON.
    """
    document = msgspec.json.decode(content)
    return _sha256(msgspec.json.encode(document | {"content_sha256": ""}, order="sorted"))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _number_lists_on_one_line(indented: str) -> str:
    """Keep a thousand quantiles from taking a thousand lines."""
    return re.sub(
        r"\[\s+([-+.,0-9eE\s]+?)\s+\]",
        lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]",
        indented,
    )
