"""What holds a secret never shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from stream_vae.core.masking import MASK, is_secret_name, mask, mask_text

SECRET_NAMES = [
    "sasl.password",
    "sasl_password",
    "SASL.PASSWORD",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl_oauthbearer_extensions",
    "pwd",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.jaas.config",
    "basic.auth.user.info",
    "api_key",
    "auth_token",
]
OPEN_NAMES = [
    "sasl.username",
    "sasl.mechanism",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.token.endpoint.url",
    "ssl.key.location",
    "ssl.ca.location",
    "ssl.certificate.pem",
    "secrets_dir",
    "group.id",
    "linger.ms",
    "timestamp_field",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_values_under_the_names_of_secrets_are_masked(name: str) -> None:
    assert is_secret_name(name)
    assert mask({"a": {name: "hunter2"}}) == {"a": {name: MASK}}


@pytest.mark.parametrize("name", OPEN_NAMES)
def test_values_under_other_names_stay(name: str) -> None:
    """Control: masking everything would pass the test above."""
    assert not is_secret_name(name)
    assert mask({name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "sentence", ["{}=hunter2 refused", "bad {}: 'hunter2'", '{{"{}": "hunter2"}}']
)
def test_assignments_in_text_are_masked(name: str, sentence: str) -> None:
    shown = mask_text(sentence.format(name))
    assert "hunter2" not in shown
    assert MASK in shown


@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "hun/ter2", "hun:ter2"])
def test_user_information_in_urls_is_masked(password: str) -> None:
    shown = mask_text(f"no answer from https://ann:{password}@registry:8081/x, see https://b.org/c")
    assert password not in shown
    assert "ter2" not in shown
    assert "registry:8081/x, see https://b.org/c" in shown


@pytest.mark.parametrize(
    "part",
    ["x", "password", "secret.", "://", "://a@", "password=", "password='", "token=\"' ", " "],
)
def test_no_text_is_too_long_to_mask(part: str) -> None:
    """A pattern that looks twice at each character would need hours for these (see the timeout)."""
    text = part * (300_000 // len(part))
    assert len(mask_text(text)) <= 3 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        "broker b-1:9092 (see https://example.org/a): 3 of 5 at alice@example.org",
        "secret /run/secrets/kafka__password: cannot be read: Permission denied",
        "--secrets-dir /run/secret: no such folder, expected one of files",
    ],
)
def test_text_without_secrets_is_untouched(text: str) -> None:
    assert mask_text(text) == text


def test_secret_objects_are_masked_under_any_name() -> None:
    assert mask([SecretStr("hunter2"), {"x": SecretStr("hunter2")}]) == [MASK, {"x": MASK}]


def test_an_unset_secret_shows_that_it_is_unset() -> None:
    assert mask({"sasl.password": None}) == {"sasl.password": None}


def test_nothing_below_a_secret_name_is_shown() -> None:
    assert mask({"password": {"old": "hunter2", "new": ["hunter2"]}}) == {"password": MASK}


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)


@given(
    st.recursive(
        plain, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(OPEN_NAMES), inner)
    )
)
def test_values_that_hold_no_secret_are_equal_after_masking(value: object) -> None:
    assert mask(value) == value
