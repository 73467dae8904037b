import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from stream_vae.core.coverage import Coverage
from stream_vae.core.feature_rule import parse_rule
from stream_vae.core.log_templates import LogSpec, LogTemplate, Mask
from stream_vae.core.model_spec import Criterion, Feature
from stream_vae.errors import BundleError
from stream_vae.models.bundle import Bundle
from stream_vae.models.bundle_format import (
    decode_bundle,
    encode_bundle,
    with_version,
)
from stream_vae.models.bundle_names import MODEL_FILE, WEIGHTS_FILE
from stream_vae.models.config import ArchitectureConfig
from stream_vae.models.scoring import WindowScorer

MakeBundle = Callable[..., Bundle]
Files = dict[str, bytes]

KEPT = Path(__file__).parent / "bundle_format_1"


@pytest.fixture(scope="module")
def files(make_bundle: MakeBundle) -> Files:
    return encode_bundle(make_bundle())


def altered(files: Files, path: str, value: object) -> Files:
    """Return the files with one field of model.json set; `path` is dotted, numbers index lists."""
    document = msgspec.json.decode(files[MODEL_FILE])
    *parents, last = (int(key) if key.isdecimal() else key for key in path.split("."))
    place: Any = document
    for key in parents:
        place = place[key]
    place[last] = value
    return {**files, MODEL_FILE: msgspec.json.encode(document)}


def variance_of(bundle: Bundle) -> torch.Tensor:
    return bundle.score_states["recency"]["residual_variance"]


def plain(bundle: Bundle) -> Bundle:
    """Return the bundle with what format 1 can hold of its scores."""
    return replace(bundle, score_states={"recency": bundle.score_states["recency"]})


def with_states(bundle: Bundle, **states: dict[str, torch.Tensor]) -> Bundle:
    """Return the bundle with what further scores learned."""
    return replace(bundle, score_states={**bundle.score_states, **states})


def rehashed(files: Files, weights: bytes) -> Files:
    """Return the files with other weights and hashes that fit them, as a forger would."""
    document = msgspec.json.decode(files[MODEL_FILE])
    document["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    document["content_sha256"] = ""
    canonical = msgspec.json.encode(document, order="sorted")
    document["content_sha256"] = hashlib.sha256(canonical).hexdigest()
    return {MODEL_FILE: msgspec.json.encode(document), WEIGHTS_FILE: weights}


def test_decoded_bundle_scores_exactly_the_same(make_bundle: MakeBundle) -> None:
    architecture = ArchitectureConfig(window_length=5, hidden_size=8, latent_size=2, calendar=True)
    bundle = make_bundle(architecture=architecture)
    again = decode_bundle(encode_bundle(bundle))
    windows = np.random.default_rng(1).normal(size=(7, 5, 3))
    times = np.arange(7, dtype=np.int64) * 10**13
    found = WindowScorer(again, device="cpu").score(windows, times)
    expected = WindowScorer(bundle, device="cpu").score(windows, times)
    for name in ("value", "contribution", "expected", "expected_std"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_decoded_bundle_equals_the_original(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    again = decode_bundle(encode_bundle(bundle))
    assert again.architecture == bundle.architecture
    assert again.training == bundle.training
    assert again.noise_seed == bundle.noise_seed
    for name in ("id", "version", "trained_at", "features", "window_length", "step_seconds"):
        assert getattr(again.spec, name) == getattr(bundle.spec, name)
    assert again.score_states.keys() == bundle.score_states.keys()
    assert torch.equal(variance_of(again), variance_of(bundle))
    np.testing.assert_array_equal(again.spec.scaler.mean, bundle.spec.scaler.mean)
    for name, levels in bundle.spec.calibration.items():
        np.testing.assert_array_equal(again.spec.calibration[name], levels)
    assert encode_bundle(again) == encode_bundle(bundle)


def test_coverage_comes_back_and_is_nothing_in_bundles_of_earlier_releases(
    make_bundle: MakeBundle,
) -> None:
    bundle = make_bundle()
    levels = np.array([[0.0, 0.4], [1.0, 1.5], [2.0, 4.0]])
    coverage = {"recency": Coverage(missing=levels[0], median=levels[1], high=levels[2])}
    known = with_version(replace(bundle, spec=replace(bundle.spec, coverage=coverage)))
    again = decode_bundle(encode_bundle(known))
    np.testing.assert_array_equal(again.spec.coverage["recency"].high, levels[2])
    assert encode_bundle(again) == encode_bundle(known)
    assert known.spec.version != bundle.spec.version
    assert not decode_bundle(encode_bundle(bundle)).spec.coverage


def test_coverage_whose_missing_shares_do_not_ascend_is_refused(make_bundle: MakeBundle) -> None:
    """Between shares that do not, nothing can be interpolated."""
    bundle, level = make_bundle(), np.ones(3)
    coverage = {"recency": Coverage(missing=np.array([0.0, 0.4, 0.4]), median=level, high=level)}
    known = replace(bundle, spec=replace(bundle.spec, coverage=coverage))
    with pytest.raises(BundleError, match=r"score\.coverage\.recency: .*\[0.0, 0.4, 0.4\].*ascend"):
        decode_bundle(encode_bundle(known))


@pytest.mark.parametrize("tensor", ["variance", "bias", "level"])
@pytest.mark.parametrize("score", ["tracked", "fused"])
@pytest.mark.parametrize("more", [(0, 1), (1, 0)], ids=["features", "members"])
def test_residuals_of_other_members_or_features_are_refused_by_name(
    make_bundle: MakeBundle, score: str, tensor: str, more: tuple[int, int]
) -> None:
    """NumPy would repeat one row for every member without a word."""
    bundle = make_bundle()
    state = bundle.score_states[score]
    shape = np.add(state[tensor].shape, more).tolist()
    wrong = {**state, tensor: torch.zeros(shape, dtype=torch.float64)}
    with pytest.raises(BundleError, match=rf"score\.{score}\.{tensor}: found shape"):
        decode_bundle(encode_bundle(with_states(bundle, **{score: wrong})))


@pytest.mark.parametrize(
    ("score", "tensor", "forge"),
    [
        ("latent_wasserstein", "mean", lambda one: one[:-1]),
        ("latent_wasserstein", "mean", lambda one: torch.full_like(one, 1e38)),
        ("latent_cluster", "centre", lambda one: one[:0]),
        ("latent_outlier", "depth", lambda one: one[:, :-1]),
        ("latent_outlier", "left", lambda one: one + one.shape[1]),
        ("latent_outlier", "dimension", lambda one: one + 2),
        ("supervised", "reach", lambda one: one.repeat(8)),
        ("supervised", "bias", lambda one: one[None]),
        ("combined", "log_probability.quantiles", lambda one: one[None]),
        ("combined", "log_probability.quantiles", lambda one: one.flip(0)),
        ("fused", "memory.windows", lambda one: one[:0]),
        ("fused", "components.axes", lambda one: one[:-1]),
        ("tracked", "variance", lambda one: one - 1e6),
    ],
)
def test_tensors_of_a_score_that_fit_no_window_are_refused_by_its_name(
    make_bundle: MakeBundle, score: str, tensor: str, forge: Callable[[Tensor], Tensor]
) -> None:
    """Each is finite; what is wrong shows in a window that is scored, or would in some window."""
    bundle = make_bundle()
    state = bundle.score_states[score]
    forged = {**state, tensor: forge(state[tensor]).contiguous()}
    with pytest.raises(BundleError, match=rf"score\.{score}"):
        decode_bundle(encode_bundle(with_states(bundle, **{score: forged})))


def test_weights_that_expect_the_infinite_are_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    huge = {name: torch.full_like(tensor, 3e38) for name, tensor in bundle.weights.items()}
    with pytest.raises(BundleError, match=r"the network expects infinite values"):
        decode_bundle(encode_bundle(replace(bundle, weights=huge)))


def test_what_any_score_learned_is_kept(make_bundle: MakeBundle) -> None:
    """Bit for bit, of any shape and precision; the network's tensors stay apart."""
    centres = torch.randn((4, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = {"centres": centres, "inner.radius": torch.tensor([0.1, 0.2])}
    bundle = with_version(with_states(make_bundle(), distance=state))
    again = decode_bundle(encode_bundle(bundle))
    assert again.score_states.keys() == bundle.score_states.keys()
    for name, tensor in state.items():
        found = again.score_states["distance"][name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)
    assert again.weights.keys() == make_bundle().weights.keys()
    assert with_version(again).spec.version == bundle.spec.version == again.spec.version


def test_format_rises_only_where_it_must(make_bundle: MakeBundle) -> None:
    """A model whose scores learn no more than format 1 holds can be read by older releases."""

    def version(bundle: Bundle) -> int:
        found: int = msgspec.json.decode(encode_bundle(bundle)[MODEL_FILE])["format_version"]
        return found

    assert version(plain(make_bundle())) == 1
    assert version(with_states(make_bundle(), distance={"centre": torch.zeros(2)})) == 2
    assert version(with_rhythm(plain(make_bundle()), 1440)) == 3


def with_rhythm(bundle: Bundle, steps: int) -> Bundle:
    return replace(bundle, spec=replace(bundle.spec, cycle_steps=steps))


CITY = Feature(name="city", kind="categorical", categories=("Bonn", "Kiel", "Ulm"))
KINDS = (
    Feature(name="level", unit="m"),
    CITY,
    Feature(name="errors", kind="count"),
    Feature(name="open", kind="binary"),
)


def test_kinds_come_back_with_how_they_are_scaled(make_bundle: MakeBundle) -> None:
    """In format 3, which releases that know numbers alone refuse."""
    bundle = make_bundle(features=KINDS)
    files = encode_bundle(bundle)
    assert msgspec.json.decode(files[MODEL_FILE])["format_version"] == 3
    again = decode_bundle(files)
    assert again.spec.features == KINDS
    assert again.spec.scaler.transforms == ("linear", "code", "log1p", "linear")
    assert again.spec.version == with_version(again).spec.version == bundle.spec.version
    windows = np.random.default_rng(1).integers(0, 2, (7, 5, 4)).astype(float)
    times = np.zeros(7, np.int64)
    found = WindowScorer(again, device="cpu").score(windows, times)
    expected = WindowScorer(bundle, device="cpu").score(windows, times)
    for name in ("value", "contribution", "expected", "expected_std"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_templates_come_back_in_format_3_and_are_of_a_feature(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(features=(Feature(name="login", kind="count"),))
    template = LogTemplate(
        id="login", pattern="login of <*>", example="login of bob", count=3, feature="login"
    )
    spec = LogSpec(templates=(template,), masks=(Mask(name="n", pattern="[0-9]+"),), lines=3)
    logs = with_version(replace(bundle, spec=replace(bundle.spec, logs=spec)))
    files = encode_bundle(logs)
    assert decode_bundle(files).spec.logs == spec
    assert logs.spec.version != bundle.spec.version, "other lines are counted"
    with pytest.raises(BundleError, match="logs: template login: found feature 'logout'"):
        decode_bundle(altered(files, "logs.templates.0.feature", "logout"))


def test_rules_come_back_and_make_another_version(make_bundle: MakeBundle) -> None:
    """In format 4: earlier releases would take what is sent for what the model is of."""
    rules = ("", "scale:0.001,rate", "hold:300")
    features = tuple(
        Feature(name=f"f{i}", rule=parse_rule(text) if text else None)
        for i, text in enumerate(rules)
    )
    files = encode_bundle(make_bundle(features=features))
    document = msgspec.json.decode(files[MODEL_FILE])
    assert document["format_version"] == 4
    assert [one.get("rule", "") for one in document["features"]] == [*rules]
    again = decode_bundle(files)
    assert again.spec.features == features
    assert again.spec.version != make_bundle().spec.version
    counts = tuple(replace(one, kind="count") for one in features)
    with pytest.raises(BundleError, match=r"f1: rule: found .* of a count feature"):
        decode_bundle(encode_bundle(make_bundle(features=counts)))


@pytest.mark.parametrize("name", ["laplace", "student_t", "gaussian_per_step", "gaussian_unit"])
def test_a_likelihood_that_earlier_releases_lack_takes_format_3(
    make_bundle: MakeBundle, name: Any
) -> None:
    """Tensors of some have the Gaussian's names and shapes; read as one they score wrongly."""
    architecture = ArchitectureConfig(
        window_length=5, hidden_size=8, latent_size=2, numeric_likelihood=name
    )
    files = encode_bundle(make_bundle(architecture=architecture))
    assert msgspec.json.decode(files[MODEL_FILE])["format_version"] == 3
    assert decode_bundle(files).architecture == architecture


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("features.1.categories", ["Bonn", "Bonn", "Ulm"], "city: .*expected unique ones"),
        ("features.0.categories", ["x"], "level: found kind 'numeric' with categories"),
        ("features.1.kind", "colour", r"Invalid enum value 'colour' - at `\$.features\[1\].kind`"),
    ],
)
def test_unsound_kinds_are_refused_by_name(
    make_bundle: MakeBundle, path: str, value: object, message: str
) -> None:
    files = encode_bundle(make_bundle(features=KINDS))
    with pytest.raises(BundleError, match=message):
        decode_bundle(altered(files, path, value))


def test_weights_of_another_kind_are_refused(make_bundle: MakeBundle) -> None:
    """There is one category more than they know."""
    bundle = make_bundle(features=KINDS)
    more = replace(CITY, categories=(*CITY.categories, "Worms"))
    spec = replace(bundle.spec, features=(KINDS[0], more, *KINDS[2:]))
    with pytest.raises(BundleError, match=r"encoder\.weight_ih_l0: found shape"):
        decode_bundle(encode_bundle(replace(bundle, spec=spec)))


def test_state_that_is_not_the_scores_is_refused(make_bundle: MakeBundle) -> None:
    surplus = with_states(make_bundle(), last_step={"memory": torch.zeros(2)})
    with pytest.raises(BundleError, match=r"score last_step: found tensors \['memory'\]"):
        decode_bundle(encode_bundle(surplus))


def test_a_score_as_an_earlier_release_fitted_it_is_left_out_and_the_others_hold(
    make_bundle: MakeBundle,
) -> None:
    bundle = make_bundle()
    former = {name: torch.zeros(2) for name in ("centre", "scale", "support", "weight", "bias")}
    combined = {f"supervised.{name}": one.clone() for name, one in former.items()}
    levels = next(iter(bundle.spec.calibration.values()))
    spec = replace(
        bundle.spec,
        calibration={**bundle.spec.calibration, "supervised": levels, "combined": levels},
    )
    old = with_states(replace(bundle, spec=spec), supervised=former, combined=combined)
    again = decode_bundle(encode_bundle(old))
    gone = {"supervised", "combined"}
    assert again.spec.calibration.keys() == spec.calibration.keys() - gone
    assert again.score_states.keys() == old.score_states.keys() - gone
    chosen = replace(old, spec=replace(spec, score="supervised"))
    with pytest.raises(BundleError, match=r"score supervised: .* must be retrained to use it"):
        decode_bundle(encode_bundle(chosen))


@pytest.mark.parametrize(
    "tensor", [torch.tensor([0.0, float("inf")]), torch.tensor([1, 2])], ids=["infinite", "integer"]
)
def test_unsound_state_of_a_score_is_refused_by_name(
    make_bundle: MakeBundle, tensor: torch.Tensor
) -> None:
    bundle = with_states(make_bundle(), distance={"centre": tensor})
    with pytest.raises(BundleError, match=r"score\.distance\.centre: found torch"):
        decode_bundle(encode_bundle(bundle))


def test_tensor_of_a_score_in_format_1_is_refused(make_bundle: MakeBundle) -> None:
    """No release wrote that: it is a tensor too many."""
    files = encode_bundle(plain(make_bundle()))
    tensors = safetensors.torch.load(files[WEIGHTS_FILE])
    forged = safetensors.torch.save({**tensors, "score.distance.centre": torch.zeros(2)})
    with pytest.raises(BundleError, match=r"score\.distance\.centre: found shape \(2,\)"):
        decode_bundle(rehashed(files, forged))


def test_options_younger_than_format_1_are_written_off_their_default_alone(
    make_bundle: MakeBundle,
) -> None:
    """So the same training writes the same bytes as before they were there."""

    def options(bundle: Bundle) -> set[str]:
        document = msgspec.json.decode(encode_bundle(bundle)[MODEL_FILE])
        assert not {"optimizer", "latent_sparsity"} & document["training"]["config"].keys()
        return set(document["architecture"])

    plain = options(make_bundle())
    small = ArchitectureConfig(window_length=5, hidden_size=8, latent_size=2)
    layered = make_bundle(architecture=replace(small, layers=2))
    assert options(layered) == plain | {"layers"}
    assert decode_bundle(encode_bundle(layered)).architecture == layered.architecture


def test_one_step_without_a_cell_is_an_earlier_releases_lstm(make_bundle: MakeBundle) -> None:
    """The control: a feed-forward network of one step is written with its cell."""
    one_step = ArchitectureConfig(window_length=1, hidden_size=8, latent_size=2)
    for architecture in (one_step, replace(one_step, cell="lstm")):
        written = encode_bundle(make_bundle(architecture=architecture))
        document = msgspec.json.decode(written[MODEL_FILE])
        named = replace(
            architecture, cell="lstm" if architecture.cell == "lstm" else "feed_forward"
        )
        assert document["architecture"]["cell"] == named.cell
        assert decode_bundle(written).architecture == named
    del document["architecture"]["cell"]
    earlier = {**written, MODEL_FILE: msgspec.json.encode(document)}
    assert decode_bundle(rehashed(earlier, written[WEIGHTS_FILE])).architecture == named


def test_integers_for_floats_do_not_break_the_hash(make_bundle: MakeBundle) -> None:
    """`step_seconds=60` is what a caller may well write."""
    bundle = make_bundle()
    whole = with_version(replace(bundle, spec=replace(bundle.spec, step_seconds=60)))
    assert whole.spec.version == bundle.spec.version
    assert decode_bundle(encode_bundle(whole)).spec.step_seconds == 60.0


def test_model_json_is_readable(files: Files) -> None:
    """A thousand quantiles take one line, not a thousand."""
    lines = files[MODEL_FILE].decode().splitlines()
    assert len(lines) < 100
    assert '  "step_seconds": 60.0,' in lines


def test_version_follows_what_decides_scores(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    version = bundle.spec.version
    later = datetime(2030, 1, 1, tzinfo=UTC)
    renamed = replace(bundle, spec=replace(bundle.spec, id="other", trained_at=later))
    assert with_version(renamed).spec.version == version
    longer = replace(bundle, noise_seed=7)
    assert with_version(longer).spec.version != version
    fitted = {"recency": {"residual_variance": variance_of(bundle) + 1e-9}}
    assert with_version(replace(bundle, score_states=fitted)).spec.version != version
    extended = with_version(with_states(bundle, distance={"centre": torch.zeros(2)}))
    assert extended.spec.version != version
    moved = with_version(with_states(bundle, distance={"centre": torch.ones(2)}))
    assert moved.spec.version != extended.spec.version
    scaler = replace(bundle.spec.scaler, clip=9.0)
    clipped = replace(bundle, spec=replace(bundle.spec, scaler=scaler))
    assert with_version(clipped).spec.version != version
    rhythmic = [with_version(with_rhythm(bundle, steps)).spec.version for steps in (0, 60, 90)]
    assert rhythmic[0] == version
    assert len(set(rhythmic)) == 3
    nudged = {**bundle.weights, "raw_sigma": bundle.weights["raw_sigma"] + 1e-6}
    assert with_version(replace(bundle, weights=nudged)).spec.version != version


@pytest.mark.parametrize("name", [MODEL_FILE, WEIGHTS_FILE])
def test_missing_file_is_refused(files: Files, name: str) -> None:
    rest = {other: content for other, content in files.items() if other != name}
    with pytest.raises(BundleError, match=f"{name}: missing"):
        decode_bundle(rest)


@given(data=st.data())
def test_truncated_file_is_refused(files: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([MODEL_FILE, WEIGHTS_FILE]))
    length = data.draw(st.integers(0, len(files[name]) - 3))
    with pytest.raises(BundleError, match=rf"{name}: (truncated|.*required field)"):
        decode_bundle({**files, name: files[name][:length]})


@given(data=st.data())
def test_altered_byte_is_refused(files: Files, data: st.DataObject) -> None:
    """Any other byte anywhere in the weights, or any other digit in model.json."""
    name = data.draw(st.sampled_from([MODEL_FILE, WEIGHTS_FILE]))
    content = bytearray(files[name])
    at = data.draw(st.integers(0, len(content) - 1))
    if name == MODEL_FILE:
        digits = [place for place, byte in enumerate(content) if chr(byte).isdecimal()]
        at = digits[at % len(digits)]
    content[at] = data.draw(
        st.sampled_from(range(48, 58)).filter(lambda byte: byte != content[at])
        if name == MODEL_FILE
        else st.integers(0, 255).filter(lambda byte: byte != content[at])
    )
    assume(name != MODEL_FILE or not same_numbers(bytes(content), files[name]))
    with pytest.raises(BundleError, match=name):
        decode_bundle({**files, name: bytes(content)})


def same_numbers(content: bytes, original: bytes) -> bool:
    """Return whether the altered digit is one past what a float64 holds."""
    try:
        return bool(msgspec.json.decode(content) == msgspec.json.decode(original))
    except msgspec.DecodeError:
        return False


def test_whitespace_in_model_json_is_no_alteration(files: Files) -> None:
    """The control: what is hashed is the content, not its layout."""
    compact = msgspec.json.encode(msgspec.json.decode(files[MODEL_FILE]))
    assert compact != files[MODEL_FILE]
    decode_bundle({**files, MODEL_FILE: compact})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "onnx", r"format: found 'onnx', expected 'stream-vae-model'"),
        ("format_version", 5, r"format_version: found 5, expected one of \[1, 2, 3, 4\]"),
        ("format_version", "1", r"Expected `int`, got `str` - at `\$.format_version`"),
        (
            "architecture.hidden_size",
            "8",
            r"Expected `int`, got `str` - at `\$.architecture.hidden_size`",
        ),
        (
            "architecture.calendar",
            1,
            r"Expected `bool \| str`, got `int` - at `\$.architecture.calendar`",
        ),
        ("architecture.window_length", 0, r"architecture.window_length: found 0, expected >= 1"),
        ("architecture.window_length", 5000, r"found 5000, expected <= 4096"),
        ("architecture.sigma_floor", 0, r"sigma_floor: found 0.0, expected > 0"),
        ("training.config.missing_rate", 1, r"training.config.missing_rate: .* expected < 1"),
        ("training.config.trim", 0.6, r"training.config.trim: found 0.6, expected <= 0.5"),
        ("training.rows", -1, r"training.rows: found -1, expected >= 0"),
        ("step_seconds", 1e300, r"<= 9000000000.0 - at `\$.step_seconds`"),
        ("step_seconds", 5e9, r"step_seconds: found 5e\+09 with windows of .* expected 9e\+09 s"),
        ("cycle_steps", 10**40, r"at `\$.cycle_steps`"),
        ("architecture.calendar", "auto", r"calendar: found 'auto', expected true or false"),
        ("trained_at", "yesterday", r"Invalid RFC3339.*at `\$.trained_at`"),
        ("trained_at", "2024-05-06T07:08:09", r"timezone.*at `\$.trained_at`"),
        ("features", [], r"length >= 1 - at `\$.features`"),
        ("features.1.name", "f0", r"features: found \['f0', 'f0', 'f2'\], expected unique names"),
        ("step_seconds", 0, r">= 1e-09 - at `\$.step_seconds`"),
        ("scaler.mean", [0.0, 1.0], r"scaler.mean: found 2 numbers, expected 3, one per feature"),
        ("scaler.std.1", 0.0, r"scaler.std: found 0.0, expected finite numbers > 0"),
        ("scaler.std.1", None, r"Expected `float`, got `null` - at `\$.scaler.std\[1\]`"),
        ("scaler.clip", -1.0, r"scaler.clip: found -1.0, expected finite numbers > 0"),
        ("residual_variance.0", -0.5, r"residual_variance: found -0.5, expected .* >= 0"),
        ("score", "elbo", r"score: found 'elbo', expected one of"),
        ("calibration.recency", [1.0, 0.5], r"calibration.recency: found descending quantiles"),
        ("calibration.recency.3", 0.0, r"calibration.recency: found descending|content_sha256"),
        ("noise_seed", -1, r">= 0 - at `\$.noise_seed`"),
        ("surprise", 1, r"unknown field `surprise`"),
        ("content_sha256", "0", r"altered after it was written: content_sha256: found '0'"),
        ("residual_variance.0", 0.5, r"altered after it was written: content_sha256"),
        ("version", "0" * 16, r"altered after it was written: content_sha256"),
        ("weights_sha256", "0", r"altered after it was written: content_sha256"),
    ],
)
def test_altered_model_json_is_refused_naming_the_field(
    files: Files, path: str, value: object, message: str
) -> None:
    with pytest.raises(BundleError, match=rf"^{MODEL_FILE}: .*{message}"):
        decode_bundle(altered(files, path, value))


def test_missing_field_is_refused_by_name(files: Files) -> None:
    document = msgspec.json.decode(files[MODEL_FILE])
    del document["scaler"]
    with pytest.raises(BundleError, match="missing required field `scaler`"):
        decode_bundle({**files, MODEL_FILE: msgspec.json.encode(document)})


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"format": 1e999}', b"null"])
def test_model_json_that_is_none_is_refused(files: Files, content: bytes) -> None:
    with pytest.raises(BundleError, match=f"^{MODEL_FILE}: "):
        decode_bundle({**files, MODEL_FILE: content})


def test_number_beyond_float_is_refused(files: Files) -> None:
    """JSON can spell 1e999, which no float holds."""
    content = files[MODEL_FILE].replace(b'"clip": 10.0', b'"clip": 1e999')
    assert content != files[MODEL_FILE]
    with pytest.raises(BundleError, match=f"^{MODEL_FILE}: "):
        decode_bundle({**files, MODEL_FILE: content})


def test_rehashed_bundle_with_sound_weights_is_read(files: Files) -> None:
    """The control of the forgeries below."""
    decode_bundle(rehashed(files, files[WEIGHTS_FILE]))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("to_mean.bias", torch.tensor([0.0, float("nan"), 0.0]), "to_mean.bias.*finite"),
        ("to_mean.bias", torch.zeros(3, dtype=torch.float64), "to_mean.bias: found torch.float64"),
        ("to_mean.bias", torch.zeros(4), r"to_mean.bias: found shape \(4,\), expected \(3,\)"),
        ("extra", torch.zeros(1), r"extra: found shape \(1,\), expected nothing"),
    ],
)
def test_unsound_weights_are_refused_by_name(
    files: Files, name: str, tensor: torch.Tensor, message: str
) -> None:
    weights = safetensors.torch.load(files[WEIGHTS_FILE])
    forged = safetensors.torch.save({**weights, name: tensor})
    with pytest.raises(BundleError, match=message):
        decode_bundle(rehashed(files, forged))


def test_weights_that_are_no_safetensors_are_refused(files: Files) -> None:
    with pytest.raises(BundleError, match=f"{WEIGHTS_FILE}: not a safetensors file"):
        decode_bundle(rehashed(files, b"PK\x03\x04 not weights"))


def test_bundle_of_an_earlier_release_scores_as_it_did() -> None:
    """Written by 0.1.0, when network and Gaussian were one class; its scores are told here."""
    files = {path.name: path.read_bytes() for path in KEPT.iterdir()}
    scores = {
        "log_probability": 1.6307750940,
        "recency": 0.0695617795,
        "last_step": 2.0149197578,
        "squared_error": 1.4236727953,
    }
    bundle = decode_bundle(files)
    assert bundle.spec.version == "5663bf452231017f"
    assert bundle.spec.calibration.keys() == scores.keys()
    window = np.arange(-2, 2, 0.5).reshape(1, 4, 2)
    window[0, 1, 0] = np.nan
    for name, expected in scores.items():
        # The scaler's mean is 0 and its deviation 1: input units are the network's.
        found = WindowScorer(bundle, score=name, device="cpu").score(window, np.zeros(1, np.int64))
        assert found.value == pytest.approx([expected], rel=1e-5)
        assert found.expected[0] == pytest.approx([-0.3456661999, -0.1040906459], rel=1e-5)
        np.testing.assert_array_equal(found.expected_std, [[1.0, 1.0]])


def test_thresholds_chosen_on_labels_are_kept_and_leave_version_and_scores_alone(
    make_bundle: MakeBundle,
) -> None:
    """Control: without labels the bundle is written as before there were any."""
    unlabelled = plain(make_bundle())
    chosen: dict[Criterion, float] = {"youden": 1.25, "best_f1": 2.0}
    found = {unlabelled.spec.score: chosen}
    labelled = replace(unlabelled, spec=replace(unlabelled.spec, labelled_thresholds=found))
    again = decode_bundle(encode_bundle(labelled))
    assert again.spec.labelled_thresholds == found
    assert with_version(labelled).spec.version == with_version(unlabelled).spec.version
    for bundle, version in ((labelled, 3), (unlabelled, 1)):
        document = msgspec.json.decode(encode_bundle(bundle)[MODEL_FILE])
        assert document["format_version"] == version
        assert ("labelled_thresholds" in document) == (version == 3)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"other": {"youden": 1.0}}, "labelled_thresholds.other: found a threshold of a score wit"),
        ({"recency": {"precision": 1.0}}, "labelled_thresholds"),
        ({"recency": {"youden": "high"}}, "labelled_thresholds"),
    ],
    ids=str,
)
def test_labelled_thresholds_that_training_never_writes_are_refused(
    files: Files, found: object, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        decode_bundle(altered(files, "labelled_thresholds", found))
