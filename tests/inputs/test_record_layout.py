import pytest

from stream_vae.core.model_spec import numeric_features
from stream_vae.errors import ConfigError
from stream_vae.inputs.formats import build_decoder
from stream_vae.inputs.json_objects import object_layout
from stream_vae.inputs.reading_format import ReadingFormat
from stream_vae.inputs.record_layout import split_path


@pytest.mark.parametrize(
    ("features", "fmt", "told"),
    [
        (["timestamp"], ReadingFormat(), "'timestamp' is named for two"),
        (["flow"], ReadingFormat(series_field="flow"), "'flow' is named for two"),
        (["flow"], ReadingFormat(series_field="timestamp"), "'timestamp' is named for two"),
        (["a", "b"], ReadingFormat(feature_fields={"b": "a.b"}), "'a' cannot be a value and hold"),
        (["b", "a"], ReadingFormat(feature_fields={"b": "a.b"}), "'a' is named for two"),
        (["flow"], ReadingFormat(feature_fields={"fow": "x"}), "names ['fow']"),
        (["flow"], ReadingFormat(timestamp_field="meta..at"), "'meta..at' has an empty name"),
        (["flow"], ReadingFormat(format="vector", feature_fields={"flow": "x"}), "no meaning"),
        ([], ReadingFormat(), "no features"),
        (['3" pipe'], ReadingFormat(), "quotes"),
    ],
)
def test_contradictory_formats_are_refused(
    features: list[str], fmt: ReadingFormat, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build_decoder(numeric_features(features), fmt)
    assert told in str(caught.value)


def test_two_features_may_share_a_field() -> None:
    """Control for the contradictions above."""
    layout = object_layout(numeric_features("ab"), ReadingFormat(feature_fields={"b": "a"}))
    assert [value.path for value in layout.values] == [("a",), ("a",)]


@pytest.mark.parametrize(
    ("path", "names"),
    [("a", ("a",)), ("a.b.c", ("a", "b", "c")), (r"a\.b.c", ("a.b", "c")), ("ä ö", ("ä ö",))],
)
def test_paths_are_split_at_dots_that_are_not_escaped(path: str, names: tuple[str, ...]) -> None:
    assert split_path(path) == names
