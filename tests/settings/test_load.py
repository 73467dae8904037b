"""Sources stand above each other; what is wrong in any of them is refused, and named."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_vae.errors import ConfigError
from stream_vae.settings import LoadedSettings, Settings, load_settings
from stream_vae.settings.fields import FieldSpec, field_specs
from stream_vae.settings.show import to_yaml

WriteYaml = Callable[[str], Path]
LEAVES = [spec for spec in field_specs().values() if spec.kind == "value"]


@pytest.fixture
def write_yaml(tmp_path: Path) -> WriteYaml:
    def write(text: str) -> Path:
        file = tmp_path / "stream-vae.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def load(
    environ: Mapping[str, str] | None = None,
    *,
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    secrets_dir: Path | None = None,
) -> LoadedSettings:
    return load_settings(config, overrides, environ or {}, secrets_dir)


def refusal(environ: Mapping[str, str] | None = None, **sources: Any) -> str:
    with pytest.raises(ConfigError) as info:
        load(environ, **sources)
    return str(info.value)


# Precedence


def test_nothing_given_is_all_defaults() -> None:
    loaded = load()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}


@pytest.mark.parametrize("given", range(16))
def test_the_highest_source_wins_and_is_named(given: int, tmp_path: Path) -> None:
    """All 16 subsets of the four sources; each gives another number of threads."""
    has_yaml, has_secret, has_variable, has_flag = (bool(given & 1 << bit) for bit in range(4))
    config = tmp_path / "c.yaml"
    config.write_text("worker:\n  threads: 2\n" if has_yaml else "worker:\n")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    if has_secret:
        (secrets / "worker__threads").write_text("3\n")
    environ = {"STREAM_VAE_WORKER__THREADS": "4"} if has_variable else {}
    overrides = {"worker.threads": 5 if has_flag else None}
    loaded = load(environ, config=config, secrets_dir=secrets, overrides=overrides)
    expected = (1, "default")
    if has_yaml:
        expected = (2, f"{config}:2")
    if has_secret:
        expected = (3, f"secret {secrets / 'worker__threads'}")
    if has_variable:
        expected = (4, "environment STREAM_VAE_WORKER__THREADS")
    if has_flag:
        expected = (5, "command line")
    assert (loaded.settings.worker.threads, loaded.origins["worker.threads"]) == expected


def test_maps_of_several_sources_are_joined(write_yaml: WriteYaml) -> None:
    config = write_yaml("kafka:\n  producer: {linger.ms: 1, batch.size: 2}\n")
    environ = {
        "STREAM_VAE_KAFKA__PRODUCER": '{"linger.ms": 5, "compression.type": "lz4"}',
        "STREAM_VAE_KAFKA__GROUP_ID": "pumps",
    }
    loaded = load(environ, config=config)
    assert loaded.settings.kafka.producer == {
        "linger.ms": 5,
        "batch.size": 2,
        "compression.type": "lz4",
    }
    assert loaded.settings.kafka.group_id == "pumps"
    assert loaded.origins["kafka.producer.batch.size"] == f"{config}:2"
    assert loaded.origins["kafka.producer.linger.ms"] == "environment STREAM_VAE_KAFKA__PRODUCER"


def test_one_property_beats_the_json_of_its_section() -> None:
    environ = {
        "STREAM_VAE_KAFKA": '{"producer": {"linger.ms": 1, "batch.size": 2}}',
        "STREAM_VAE_KAFKA__PRODUCER__LINGER_MS": "3",
    }
    loaded = load(environ)
    assert loaded.settings.kafka.producer == {"batch.size": 2, "linger.ms": "3"}
    origins = [loaded.origins[f"kafka.producer.{name}"] for name in ("batch.size", "linger.ms")]
    assert origins == [f"environment {name}" for name in environ]


def test_librdkafka_properties_can_be_named_in_the_environment() -> None:
    loaded = load({"STREAM_VAE_KAFKA__CONSUMER__FETCH_MIN_BYTES": "5"})
    assert loaded.settings.kafka.consumer == {"fetch.min.bytes": "5"}


def test_labels_named_in_the_environment_keep_their_underscores() -> None:
    loaded = load({"STREAM_VAE_DETECTOR__LABELS__COST_CENTRE": "7"})
    assert loaded.settings.detector.labels == {"cost_centre": "7"}


def test_a_section_can_be_given_as_json() -> None:
    loaded = load({"STREAM_VAE_HTTP": '{"port": 0, "enabled": false}'})
    assert (loaded.settings.http.port, loaded.settings.http.enabled) == (0, False)


@pytest.mark.parametrize(
    "spec", [spec for spec in LEAVES if spec.default is not None], ids=lambda spec: spec.name
)
def test_every_setting_can_be_given_by_the_environment(spec: FieldSpec) -> None:
    """The default, written as text, gives the default again; its origin shows that it was read."""
    text = str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)
    variable = "STREAM_VAE_" + "__".join(spec.path).upper()
    loaded = load({variable: text})
    assert loaded.settings == Settings()
    assert loaded.origins[spec.name] == f"environment {variable}"


OF_METHODS = {"percentile": "quantile", "mean_sd": "standard_deviations", "fixed": "value"}


@pytest.mark.parametrize("method", OF_METHODS)
def test_settings_that_are_unset_by_default_can_be_given_by_the_environment(method: str) -> None:
    texts = {
        "input.timestamp_zone": "Europe/Berlin",
        "input.wait_s": "5",
        "detect.unscorable_after": "5",
        "registry.url": "http://registry:8081",
        "kafka.sasl_mechanism": "OAUTHBEARER",
        "input.preset": "fluent_bit",
        "forward.to": "alertmanager",
        "forward.url": "http://alertmanager:9093",
        "input.decimal": ",",
        "page.token": "a token of sixteen or more",
        "detect.range_margin": "0.05",
        "detect.incident.cooldown_s": "60",
        "detect.incident.open_after": "1",
        **{f"detect.threshold.{name}": "0.75" for name in OF_METHODS.values()},
    }
    of_others = {f"detect.threshold.{OF_METHODS[one]}" for one in OF_METHODS if one != method}
    of_others |= {"registry.token", "input.series", "input.session_field"}  # instead of others
    of_others |= {"output.scores_topic"}  # with series alone
    names = [spec.name for spec in LEAVES if spec.default is None and spec.name not in of_others]
    environ = {
        f"STREAM_VAE_{name.replace('.', '__').upper()}": texts.get(name, "x") for name in names
    }
    environ["STREAM_VAE_KAFKA__SECURITY_PROTOCOL"] = "SASL_SSL"
    environ["STREAM_VAE_DETECT__THRESHOLD__METHOD"] = method
    loaded = load(environ)
    assert len(names) > 5
    assert all(loaded.origins[name].startswith("environment ") for name in names)


def test_the_file_is_found_by_the_environment(write_yaml: WriteYaml) -> None:
    config = write_yaml("detector: {name: pumps}")
    assert load({"STREAM_VAE_CONFIG": str(config)}).settings.detector.name == "pumps"


def test_the_flag_beats_the_file_the_environment_names(
    write_yaml: WriteYaml, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("detector: {name: fans}")
    environ = {"STREAM_VAE_CONFIG": str(write_yaml("detector: {name: pumps}"))}
    assert load(environ, config=other).settings.detector.name == "fans"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_VAE_DETECTOR__NAME", "pumps")
    assert load_settings().settings.detector.name == "pumps"


# Secrets


def test_a_mounted_secret_is_read(tmp_path: Path) -> None:
    """As Kubernetes mounts them: links into a hidden folder, and a line end from `echo`."""
    hidden = tmp_path / "..2026"
    hidden.mkdir()
    (hidden / "kafka__sasl_password").write_text("hunter2\n")
    (tmp_path / "..data").symlink_to(hidden)
    (tmp_path / "kafka__sasl_password").symlink_to(Path("..data") / "kafka__sasl_password")
    environ = {
        "STREAM_VAE_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "STREAM_VAE_KAFKA__SASL_MECHANISM": "PLAIN",
        "STREAM_VAE_KAFKA__SASL_USERNAME": "ann",
        "STREAM_VAE_SECRETS_DIR": str(tmp_path),
    }
    password = load(environ).settings.kafka.sasl_password
    assert password is not None
    assert password.get_secret_value() == "hunter2"


def test_a_secrets_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = refusal(secrets_dir=tmp_path / "none")
    assert message.endswith(
        "cannot be read: No such file or directory; expected a directory of secrets"
    )


def test_a_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kafka__sasl_password").write_bytes(b"\xff\xfe")
    assert "expected a file of UTF-8 text" in refusal(secrets_dir=tmp_path)


def test_a_secret_that_is_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    """The library would pass over it without a word."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "elsewhere").write_text("2")
    (tmp_path / "secrets" / "worker__threads").symlink_to(tmp_path / "elsewhere")
    message = refusal(secrets_dir=tmp_path / "secrets")
    assert message.endswith("worker__threads: is a link to a file outside of the directory")


def test_no_message_shows_a_secret(tmp_path: Path, write_yaml: WriteYaml) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "kafka__sasl_pasword").write_text("hunter2")
    config = write_yaml(
        "kafka:\n"
        "  ssl_key_password: [hunter2]\n"
        "  sasl_password: {hunter2: hunter2}\n"
        "  common: {sasl.password: [hunter2], acks: hunter2}\n"
        "  bootstrap_servers: [https://ann:hunter2@b]\n"
        "  producer: [hunter2]\n"
    )
    environ = {
        "STREAM_VAE_KAFKA__CONSUMER": "{hunter2",
        "STREAM_VAE_DETECTOR__LINKS": '["hunter2"]',
        "STREAM_VAE_WORKER__DEVICE": "https://ann:hunter2@b",
    }
    message = refusal(environ, config=config, secrets_dir=tmp_path / "secrets")
    assert "hunter2" not in message
    for name in ("ssl_key_password", "sasl_password", "sasl.password", "producer", "device"):
        assert f"{name} (" in message, f"control: {name} is refused at all"


# Misspelt names


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("STREAM_VAE_WORKR__THREADS", "STREAM_VAE_WORKER__THREADS"),
        ("STREAM_VAE_WORKER__TREADS", "STREAM_VAE_WORKER__THREADS"),
        ("STREAM_VAE_WORKER_THREADS", "STREAM_VAE_WORKER__THREADS"),
        ("STREAM_VAE_THREADS", "STREAM_VAE_WORKER__THREADS"),
        ("STREAM_VAE_SHUTDOWN_DEADLINE", "STREAM_VAE_SHUTDOWN_DEADLINE_S"),
        ("STREAM_VAE_HTTP_PORT", "STREAM_VAE_HTTP__PORT"),
        ("STREAM_VAE_CONFG", None),
    ],
)
def test_a_misspelt_variable_is_refused(wrong: str, right: str | None) -> None:
    message = refusal({wrong: "1"})
    hint = f"; did you mean {right}?" if right else ""
    assert message.startswith(f"{wrong} (environment {wrong}): no such setting{hint}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workr: {threads: 2}", "workr ({}:1): no such setting; did you mean worker?"),
        (
            "worker:\n  treads: 2",
            "worker.treads ({}:2): no such setting; did you mean worker.threads?",
        ),
        ("threads: 2", "threads ({}:1): no such setting; did you mean worker.threads?"),
        (
            "worker.threads: 2",
            "worker.threads ({}:1): no such setting; did you mean worker.threads?",
        ),
        (
            "detect:\n  incident:\n    open_aftr: 2",
            "detect.incident.open_aftr ({}:3): no such setting; did you mean "
            "detect.incident.open_after?",
        ),
        ("zzz: 1", "zzz ({}:1): no such setting"),
    ],
)
def test_a_misspelt_key_is_refused(text: str, expected: str, write_yaml: WriteYaml) -> None:
    config = write_yaml(text)
    assert refusal(config=config) == expected.format(config)


def test_a_misspelt_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kafka__sasl_pasword").write_text("x")
    assert "did you mean kafka__sasl_password?" in refusal(secrets_dir=tmp_path)


def test_a_variable_below_a_single_setting_is_refused() -> None:
    """The library would take the one and pass over the other."""
    environ = {"STREAM_VAE_WORKER__THREADS": "2", "STREAM_VAE_WORKER__THREADS__MAX": "3"}
    assert refusal(environ).startswith("STREAM_VAE_WORKER__THREADS__MAX (environment ")


def test_a_misspelt_name_in_json_is_refused() -> None:
    assert refusal({"STREAM_VAE_HTTP": '{"prt": 0}'}) == (
        "STREAM_VAE_HTTP__PRT (environment STREAM_VAE_HTTP): no such setting; "
        "did you mean STREAM_VAE_HTTP__PORT?"
    )


def test_a_misspelt_flag_is_refused() -> None:
    assert "did you mean bundle.path?" in refusal(overrides={"bundle.pth": "x"})


@given(data=st.data(), spec=st.sampled_from(LEAVES))
def test_no_misspelt_name_is_ever_ignored(data: st.DataObject, spec: FieldSpec) -> None:
    """Leave out, double or exchange any letter of any name."""
    name = "__".join(spec.path).upper()
    at = data.draw(st.integers(0, len(name) - 1))
    wrong = data.draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + "X" + name[at:],
                name[:at] + "X" + name[at + 1 :],
            ]
        )
    )
    names = {"__".join(each.path).upper() for each in LEAVES}
    if wrong not in names:
        assert "no such setting" in refusal({f"STREAM_VAE_{wrong}": "1"})


def test_what_kubernetes_tells_of_services_is_tolerated() -> None:
    """A service called stream-vae, or stream-vae-ui, puts these into each pod around it."""
    environ = {
        "STREAM_VAE_SERVICE_HOST": "10.0.0.7",
        "STREAM_VAE_SERVICE_PORT": "8080",
        "STREAM_VAE_SERVICE_PORT_METRICS": "8080",
        "STREAM_VAE_PORT": "tcp://10.0.0.7:8080",
        "STREAM_VAE_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "STREAM_VAE_PORT_8080_TCP_ADDR": "10.0.0.7",
        "STREAM_VAE_UI_PORT": "tcp://10.0.0.8:80",
    }
    assert load(environ).settings == Settings()


def test_variables_of_others_and_of_the_tests_are_tolerated() -> None:
    environ = {"STREAM_VAE_TEST_BOOTSTRAP": "b:1", "STREAM_VAEX": "1", "HOME": "/", "WORKER": "1"}
    assert load(environ).settings == Settings()


# Wrong values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "http: {port: many}",
            "http.port ({}:1): found 'many', expected integer >= 0 and <= 65535",
        ),
        (
            "http: {port: 70000}",
            "http.port ({}:1): found 70000, expected integer >= 0 and <= 65535",
        ),
        ("http: {port: 1.5}", "http.port ({}:1): found 1.5, expected integer >= 0 and <= 65535"),
        ("http: {port: true}", "http.port ({}:1): found true, expected integer >= 0 and <= 65535"),
        ("http: {port: null}", "http.port ({}:1): found null, expected integer >= 0 and <= 65535"),
        ("http: {enabled: maybe}", "http.enabled ({}:1): found 'maybe', expected true or false"),
        ("http: 8080", "http ({}:1): found 8080, expected a mapping with enabled, host, port, "),
        ("http: [1]", "http ({}:1): found a list, expected a mapping with enabled, host, port, "),
        ("http: {host: ''}", "http.host ({}:1): found '', expected text, not empty"),
        ("input: {topic: a b}", "input.topic ({}:1): found 'a b', expected topic name (letters, "),
        ("input: {format: xml}", "input.format ({}:1): found 'xml', expected `json`, `vector`"),
        ("worker: {device: gpu}", "worker.device ({}:1): found 'gpu', expected `auto`, `cpu`, "),
        ("worker: {max_wait_ms: .nan}", "worker.max_wait_ms ({}:1): found nan, expected number"),
        (
            "shutdown_deadline_s: .inf",
            "shutdown_deadline_s ({}:1): found inf, expected number",
        ),
        ("shutdown_deadline_s: 0", "shutdown_deadline_s ({}:1): found 0, expected number > 0"),
        (
            "detector: {name: 2026-01-31}",
            "detector.name ({}:1): found 2026-01-31 (date), expected text, not empty",
        ),
        ("detector: {labels: {a: [1]}}", "detector.labels.a ({}:1): found a list, expected text"),
        ("detector: {labels: {1: a}}", "detector.labels ({}:1): found the name 1, expected text"),
        ("detector: {labels: x}", "detector.labels ({}:1): found 'x', expected mapping of text"),
        ("kafka: {common: {a.b: [1]}}", "kafka.common.a.b ({}:1): found a list, expected text, "),
    ],
)
def test_a_wrong_value_is_refused(text: str, expected: str, write_yaml: WriteYaml) -> None:
    config = write_yaml(text)
    assert refusal(config=config).startswith(expected.format(config))


def test_a_wrong_value_in_the_environment_names_the_variable() -> None:
    assert refusal({"STREAM_VAE_HTTP__PORT": "many"}) == (
        "http.port (environment STREAM_VAE_HTTP__PORT): found 'many', expected integer >= 0 and "
        "<= 65535"
    )


def test_a_wrong_value_that_is_overridden_does_no_harm(write_yaml: WriteYaml) -> None:
    config = write_yaml("http: {port: many}")
    assert load({"STREAM_VAE_HTTP__PORT": "1"}, config=config).settings.http.port == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "detect:\n  incident:\n    open_after: 5",
            "detect.incident ({}:3): open_after (5) of open_within (3) readings can never be",
        ),
        (
            "worker:\n  max_in_flight: 9",
            "worker ({}:2): max_in_flight (9) must be >= max_batch (256)",
        ),
        ("kafka:\n  common: {group.id: x}", "kafka ({}:2): common: group.id is set by the daemon"),
        (
            "output:\n  late_topic: t\n  alerts_topic: t",
            "settings: output.alerts_topic and output.late_topic are both 't'; expected two topics",
        ),
        (
            "output:\n  alerts_topic: g-changelog\nkafka: {group_id: g}",
            "settings: output.alerts_topic and state.topic are both 'g-changelog'; expected two",
        ),
        (
            "input: {topic: t}\nstate: {topic: t}",
            "settings: input.topic and state.topic are both 't'; expected two topics",
        ),
        (
            "kafka: {group_id: night shift}",
            "settings: kafka.group_id ('night shift') makes no topic name: expected letters",
        ),
    ],
)
def test_contradictions_are_refused(text: str, expected: str, write_yaml: WriteYaml) -> None:
    config = write_yaml(text)
    assert refusal(config=config).startswith(expected.format(config))


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("kafka: {group_id: pumps}", "pumps-changelog"),
        ("kafka: {group_id: night shift}\nstate: {topic: night}", "night"),
        ("kafka: {group_id: night shift}\nstate: {changelog: false}", None),
        ("state: {changelog: false, topic: stream-vae.readings}", None),
    ],
    ids=["by the group", "by name", "none", "none though named"],
)
def test_the_changelog_topic_follows_the_group_unless_it_is_named(
    text: str, topic: str | None, write_yaml: WriteYaml
) -> None:
    assert load(config=write_yaml(text)).settings.changelog_topic == topic


def test_an_empty_section_is_all_defaults(write_yaml: WriteYaml) -> None:
    """What is left when an operator comments every line of a section out."""
    config = write_yaml("kafka:\n  # group_id: x\ndetector:\n  labels:\n")
    assert load(config=config).settings == Settings()


def test_everything_wrong_is_told_at_once(write_yaml: WriteYaml) -> None:
    config = write_yaml("htp: {}\nhttp: {port: many}\ndetect: {incident: {open_after: 9}}\n")
    message = refusal({"STREAM_VAE_TYPO": "1", "STREAM_VAE_WORKER__THREADS": "0"}, config=config)
    lines = message.splitlines()
    assert lines[0] == "5 settings cannot be used:"
    for name in ("htp", "http.port", "detect.incident", "STREAM_VAE_TYPO", "worker.threads"):
        assert sum(line.startswith(f"  {name} (") for line in lines) == 1


@pytest.mark.timeout(20)
def test_of_many_errors_the_first_twenty_are_told(write_yaml: WriteYaml) -> None:
    """Each misspelt name looks for what was meant: thousands would take minutes."""
    config = write_yaml("kafka:\n" + "".join(f"  grup_id{i}: 1\n" for i in range(3_000)))
    lines = refusal({}, config=config).splitlines()
    assert lines[0] == "more than 20 settings cannot be used:"
    assert len(lines) == 21


@pytest.mark.parametrize("value", ["1" * 1_000, "0x" + "f" * 10_000])
def test_a_number_of_thousands_of_digits_is_told_by_its_size(
    write_yaml: WriteYaml, value: str
) -> None:
    message = refusal({}, config=write_yaml(f"http: {{port: {value}}}\n"))
    assert "found an integer of" in message
    assert len(message) < 200


def test_nothing_is_judged_while_a_source_cannot_be_read(tmp_path: Path) -> None:
    """The password would look contradictory without the file that says what it is for."""
    environ = {"STREAM_VAE_KAFKA__SASL_PASSWORD": "x"}
    assert "sasl_password is set, but" in refusal(environ), "control"
    message = refusal(environ, config=tmp_path / "none.yaml", secrets_dir=tmp_path / "none")
    assert [line.split(": ")[1] for line in message.splitlines()[1:]] == ["cannot be read"] * 2


# Cost


def test_settings_load_neither_the_model_nor_the_statistics() -> None:
    """`config check` in an init container starts in a fraction of a second."""
    script = (
        "import sys; import stream_vae.settings; "
        "print([name for name in ('pydantic', 'river', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "['pydantic']"


def test_a_key_of_sessions_gives_defaults_that_are_shown_and_given_settings_win() -> None:
    environ = {"STREAM_VAE_MODEL__LATENT_SIZE": "6", "STREAM_VAE_INPUT__FORMAT": "log_lines"}
    usual = load_settings(environ=environ).settings
    loaded = load_settings(environ={**environ, "STREAM_VAE_INPUT__SESSION_PATTERN": "(blk_[0-9]+)"})
    model, usual_model = loaded.settings.model, usual.model
    assert (usual_model.window_length, usual_model.latent_size) == (32, 6)
    assert (model.window_length, model.latent_size) == (1, 6)
    assert loaded.settings.training.calibration == "cross_validation"
    assert loaded.origins["model.window_length"] == "default of sessions"
    assert loaded.origins["model.latent_size"] == "environment STREAM_VAE_MODEL__LATENT_SIZE"


@pytest.mark.parametrize(
    ("given", "quantile", "open_within", "resolve_after", "calibration"),
    [
        ("detect: {budget: 1 per series per day}", None, 1, 1, "cross_validation"),
        ("detect: {threshold: {method: fixed, value: 3}}", None, 1, 1, "cross_validation"),
        ("detect: {threshold: {release_after: 50}}", 0.999, 1, 1, "cross_validation"),
        ("detect: {incident: {max_features: 3}}", 0.999, 1, 1, "cross_validation"),
        ("detect: {incident: {open_after: 2}}", 0.999, 3, 1, "cross_validation"),
        ("training: {trim: auto}", 0.999, 1, 1, "auto"),
    ],
)
def test_what_is_given_leaves_out_the_defaults_of_sessions_that_it_rules_out_and_no_other(
    given: str,
    quantile: float | None,
    open_within: int,
    resolve_after: int,
    calibration: str,
    tmp_path: Path,
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"input: {{format: log_lines, session_pattern: '(blk_[0-9]+)'}}\n{given}\n")
    # Another source of the same section does not hide what the file gives.
    environ = {"STREAM_VAE_DETECT__THRESHOLD__WINDOW": "5000", "STREAM_VAE_TRAINING__SEED": "1"}
    found = load_settings(config, environ=environ).settings
    incident = found.detect.incident
    assert found.detect.threshold.quantile == quantile
    assert (incident.open_within, incident.resolve_after) == (open_within, resolve_after)
    assert found.training.calibration == calibration


@pytest.mark.parametrize(
    "told",
    [
        "format: log_lines",
        "format: log_events",
        "format: otlp_logs_json",
        "format: otlp_logs_proto",
        "preset: filebeat",
        "{preset: vector_logs, format: log_lines}",
    ],
)
def test_lines_of_logs_have_defaults_of_their_own_and_given_settings_win(
    told: str, write_yaml: WriteYaml
) -> None:
    """Control: vectors of logs, and records of a preset of readings, have the usual ones."""
    text = f"input: {told if told.startswith('{') else f'{{{told}}}'}\n"
    loaded = load(config=write_yaml(f"{text}detect: {{incident: {{open_after: 2}}}}"))
    detect = loaded.settings.detect
    assert (detect.score, detect.threshold.quantile) == ("worst_feature", 0.999)
    assert loaded.origins["detect.score"] == "default of logs"
    incident = detect.incident
    assert (incident.resolve_after, incident.resolve_deviation) == (10, 0.5)
    assert (incident.warning_grade, incident.critical_grade) == (1.0, 1.0)
    assert loaded.settings.kafka.poll_records == 1000
    assert detect.incident.open_after == 2
    assert loaded.origins["detect.incident.open_after"].endswith("stream-vae.yaml:2")
    for other in ("{format: vector}", "{preset: vector_logs}", "{preset: filebeat, format: json}"):
        loaded = load(config=write_yaml(f"input: {other}"))
        assert loaded.settings.detect == Settings().detect
        assert loaded.settings.kafka == Settings().kafka
        assert "default of logs" not in loaded.origins.values()


@pytest.mark.parametrize(
    ("given", "quantile"),
    [
        ("budget: 1 per series per day", None),
        ("threshold: {method: fixed, value: 3}", None),
        ("threshold: {method: likelihood}", None),
        ("profile: univariate", None),
        ("threshold: {method: pot}", 0.999),
        ("threshold: {release_after: 50}", 0.999),
    ],
)
def test_what_is_given_leaves_out_the_defaults_of_logs_that_it_rules_out_and_no_other(
    given: str, quantile: float | None, write_yaml: WriteYaml
) -> None:
    text = f"input: {{format: log_lines}}\ndetect: {{{given}}}"
    detect = load(config=write_yaml(text)).settings.detect
    assert detect.threshold.quantile == quantile
    assert (detect.score, detect.incident.open_after) == ("worst_feature", 1)


def test_a_bundle_of_logs_has_their_defaults_where_no_source_tells_the_format(
    write_yaml: WriteYaml,
) -> None:
    """Controls: a format that is told says more, and so does what else is set."""
    loaded = load_settings(environ={}, judged="logs")
    assert loaded.settings.detect.score == "worst_feature"
    assert loaded.origins["detect.score"] == "default of logs"
    assert load_settings(environ={}, judged="sessions").settings.detect.incident.open_within == 1
    vectors = load_settings(write_yaml("input: {format: vector}"), environ={}, judged="logs")
    assert vectors.settings.detect == Settings().detect
    told = load_settings(write_yaml("detect: {score: recency}"), environ={}, judged="logs")
    assert told.settings.detect.score == "recency"
    assert told.settings.detect.incident.open_after == 1


@pytest.mark.parametrize(
    ("given", "grades"),
    [
        ("max_features: 3", (1.0, 1.0)),
        ("critical_grade: 0.5", (0.3, 0.5)),
        ("warning_grade: 0.2", (0.2, 0.7)),
    ],
)
def test_whoever_sets_a_grade_of_logs_has_the_other_one_of_readings(
    given: str, grades: tuple[float, float], write_yaml: WriteYaml
) -> None:
    text = f"input: {{format: log_lines}}\ndetect: {{incident: {{{given}}}}}"
    incident = load(config=write_yaml(text)).settings.detect.incident
    assert (incident.warning_grade, incident.critical_grade) == grades


def test_a_preset_gives_defaults_that_are_shown_and_given_settings_win(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("input: {preset: telegraf, series_field: null, feature_name: '{field}'}\n")
    loaded = load_settings(config, environ={"STREAM_VAE_INPUT__NAME_FIELD": "measurement"})
    found = loaded.settings.input
    assert (found.preset, found.value_field, found.records_path) == (
        "telegraf",
        "fields",
        "metrics",
    )
    assert (found.series_field, found.feature_name) == (None, "{field}")
    assert found.name_field == "measurement"
    assert loaded.origins["input.value_field"] == "preset telegraf"
    assert loaded.origins["input.feature_name"].startswith(str(config))
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(loaded))
    assert load_settings(again, environ={}).settings == loaded.settings
    with pytest.raises(ConfigError, match=r"input\.preset"):
        load({"STREAM_VAE_INPUT__PRESET": "telegraph"})
