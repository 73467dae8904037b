import pytest

from stream_vae.commands.jobs.model import scaling_text
from stream_vae.core.model_spec import Feature


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Feature(name="x"), "mean 0.5, standard deviation 2"),
        (Feature(name="x", kind="count"), "log(1 + count): mean 0.5, standard deviation 2"),
        (Feature(name="x", kind="binary"), "0 and 1"),
        (Feature(name="x", kind="categorical", categories=("a", "b")), "a, b"),
        (
            Feature(name="x", kind="categorical", categories=tuple("abcdefghijk")),
            "a, b, c, d, e, f, g, h and 3 more",
        ),
    ],
)
def test_each_kind_says_what_the_model_knows_of_it(feature: Feature, expected: str) -> None:
    assert scaling_text(feature, 0.5, 2.0) == expected
