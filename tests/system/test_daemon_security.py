"""The daemon behind TLS, credentials and access control lists: enough rights, and one too few."""

import re
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

from tests.system.cluster import Record
from tests.system.forked_process import Command
from tests.system.harness import DaemonProcess, Topics, as_records, make_config, sine_values
from tests.system.scene import await_true, mixed_stream, probe
from tests.system.secure_broker import Right, SecureKafka, Settings

_README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_ROW = re.compile(
    r"^\| (topic|group|transactional id) `([^`]+)`(, prefixed)? \| ([\w, ]+) \|$", re.MULTILINE
)
LISTED = [
    Right(kind=kind, name=name, operation=operation, is_prefix=bool(prefix))
    for kind, name, prefix, operations in _ROW.findall(_README)
    for operation in operations.split(", ")
]
"""What the README says the daemon needs, on `<setting>` names."""

_AT_ONCE = 4
_N_STEPS = 40


def stream() -> list[Record]:
    """Return readings with an anomaly, poison between them, and a late reading at the end."""
    return [*mixed_stream(1, _N_STEPS), *as_records(sine_values(1, seed=0), "s0")]


def resolve(right: Right, topics: Topics) -> Right:
    """Return a listed right on the names that a daemon uses."""
    names = {
        "input.topic": topics.input,
        "output.alerts_topic": topics.alerts,
        "output.dead_letter_topic": topics.dead_letters,
        "output.late_topic": topics.late,
        "kafka.group_id": topics.group,
        "state.topic": f"{topics.group}-changelog",
    }
    return replace(right, name=re.sub(r"<([\w.]+)>", lambda match: names[match[1]], right.name))


def new_topics(input_topic: str) -> Topics:
    """Return names that nothing has yet, but for the input."""
    stem = f"test-{uuid.uuid4().hex[:8]}"
    return Topics(
        input=input_topic,
        alerts=f"{stem}.alerts",
        dead_letters=f"{stem}.dead_letters",
        late=f"{stem}.late",
        group=stem,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way into the brokers."""

    settings: Settings
    told_as: str
    secret: str

    def environment(self, secrets: Path | None = None) -> dict[str, str]:
        """Return what tells a daemon the secret: by a file in a new directory, or outright."""
        name = self.told_as.replace(".", "__")
        if secrets is None:
            return {f"STREAM_VAE_{name.upper()}": self.secret}
        secrets.mkdir()
        (secrets / name).write_text(self.secret + "\n")
        return {"STREAM_VAE_SECRETS_DIR": str(secrets)}

    def setting(self, name: str, value: object) -> "Way":
        """Return this way with one setting changed."""
        return replace(self, settings={**self.settings, name: value})


def find_way(kafka: SecureKafka, kind: str, user: str) -> Way:
    """Register a user with a secret that nothing else has."""
    secret = f"{kind}-{uuid.uuid4().hex}"
    if kind == "password":
        return Way(
            settings=kafka.by_password(user, secret),
            told_as="kafka.sasl_password",
            secret=secret,
        )
    if kind == "certificate":
        return Way(
            settings=kafka.by_certificate(user, secret),
            told_as="kafka.ssl_key_password",
            secret=secret,
        )
    return Way(
        settings=kafka.by_token(user, secret),
        told_as="kafka.sasl_oauthbearer_client_secret",
        secret=secret,
    )


@pytest.fixture(scope="module")
def readings(secure_kafka: SecureKafka) -> str:
    """The input topic of all tests, each of which has a group of its own."""
    topic = secure_kafka.broker.new_topic("readings")
    secure_kafka.broker.produce(topic, stream())
    return topic


def show_config(config: Path, environment: Mapping[str, str], form: str) -> str:
    """Return what `config show` prints."""
    arguments = ("config", "show", "--format", form, "--config", config)
    with Command(arguments, config.parent, environment=environment) as command:
        done = command.wait()
    assert done.code == 0, done.err
    return done.out + done.err


@pytest.mark.parametrize(
    ("kind", "by_file", "form"),
    [("password", True, "yaml"), ("certificate", True, "json"), ("token", False, "json")],
)
def test_the_listed_rights_are_enough_by_each_way_in_and_its_secret_is_shown_nowhere(
    secure_kafka: SecureKafka,
    readings: str,
    small_bundle: Path,
    tmp_path: Path,
    kind: str,
    by_file: bool,
    form: str,
) -> None:
    """The daemon makes its topics, reads, alerts and puts aside; the user is shown: a control."""
    broker, topics = secure_kafka.broker, new_topics(readings)
    user = f"{kind}-user"
    way = find_way(secure_kafka, kind, user)
    secure_kafka.grant(user, [resolve(right, topics) for right in LISTED])
    config = make_config(tmp_path, broker, topics, small_bundle, way.settings)
    environment = way.environment(tmp_path / "secrets" if by_file else None)

    with DaemonProcess(config, environment) as daemon:
        daemon.wait_for("partitions_assigned")
        end = {0: len(stream())}
        await_true(lambda: broker.committed(topics.group, readings) == end, f"offsets {end}")
        shown = probe(daemon, "metrics")[1] + Path(f"/proc/{daemon.pid}/cmdline").read_text()
        assert "stream_vae_records_consumed_total" in shown
        assert daemon.stop() == 0
    shown += daemon.log.read_text() + show_config(config, environment, form)

    assert way.secret not in shown
    assert user in shown
    written = [len(broker.consume_all(t)) for t in (topics.dead_letters, topics.late)]
    assert written == [_N_STEPS, 1]
    assert len(broker.consume_all(topics.alerts)) >= 2
    assert broker.consume_all(f"{topics.group}-changelog")


def test_the_listed_rights_are_enough_to_restore_the_state(
    secure_kafka: SecureKafka, readings: str, small_bundle: Path, tmp_path: Path
) -> None:
    """A second daemon takes over what a first has left, all that it knows being in the brokers."""
    broker, topics = secure_kafka.broker, new_topics(readings)
    way = find_way(secure_kafka, "password", "heir")
    secure_kafka.grant("heir", [resolve(right, topics) for right in LISTED])
    config = make_config(tmp_path, broker, topics, small_bundle, way.settings)
    end = {0: len(stream())}

    with DaemonProcess(config, way.environment()) as first:
        await_true(lambda: broker.committed(topics.group, readings) == end, f"offsets {end}")
        assert first.stop() == 0
    with DaemonProcess(config, way.environment()) as second:
        second.wait_for("state_restored")
        assert second.stop() == 0

    assert second.find("state_restored")[0]["series"] == 1


# What is refused. A run takes a second or two, so all are run, side by side, before one is judged.


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A daemon's end."""

    exit_code: int
    failure: str
    """What its log says went wrong."""
    output: str
    """All that it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A daemon that is to be refused."""

    config: Path
    environment: dict[str, str]

    def run(self) -> Ended:
        """Run it to its end."""
        with DaemonProcess(self.config, self.environment) as daemon:
            code = daemon.wait(60.0)
            output = daemon.log.read_text()
            return Ended(exit_code=code, failure=daemon.failure, output=output)


def run_all(attempts: Sequence[Attempt]) -> list[Ended]:
    """Run all of them, as many at once as a small machine bears."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(Attempt.run, attempts))


WRONG: dict[str, tuple[str, ...]] = {
    "password": ("invalid credentials", "kafka.sasl_"),
    "certificate": ("certificate", "kafka.ssl_"),
    "token": ("invalid_client", "kafka.sasl_oauthbearer_"),
    "authority of the brokers": ("certificate", "kafka.ssl_"),
    "authority of the provider": ("certificate", "kafka.https_ca_location"),
}
"""What is wrong, and what the error must say."""


@pytest.fixture(scope="module")
def strangers(
    secure_kafka: SecureKafka,
    readings: str,
    small_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, tuple[Ended, str]]:
    """How daemons ended that the brokers do not know, or that do not know the brokers; a secret."""
    folder = tmp_path_factory.mktemp("strangers")
    other = trustme.CA()
    other_file = str(folder / "other-ca.pem")
    other.cert_pem.write_to_path(other_file)
    password = find_way(secure_kafka, "password", "stranger-1")
    certificate = find_way(secure_kafka, "certificate", "stranger-2")
    token = find_way(secure_kafka, "token", "stranger-3")
    forged = secure_kafka.by_certificate("stranger-2", certificate.secret, other)
    ways = {
        "password": replace(password, secret=f"wrong-{password.secret}"),
        "certificate": replace(certificate, settings=forged),
        "token": replace(token, secret=f"wrong-{token.secret}"),
        "authority of the brokers": password.setting("kafka.ssl_ca_location", other_file),
        "authority of the provider": token.setting("kafka.https_ca_location", other_file),
    }
    attempts = [
        Attempt(
            config=make_config(
                folder, secure_kafka.broker, new_topics(readings), small_bundle, way.settings
            ),
            environment=way.environment(),
        )
        for way in ways.values()
    ]
    ended = zip(run_all(attempts), (way.secret for way in ways.values()), strict=True)
    return dict(zip(ways, ended, strict=True))


@pytest.mark.parametrize("wrong", WRONG)
def test_who_is_not_let_in_is_told_why_and_no_secret(
    strangers: Mapping[str, tuple[Ended, str]], wrong: str
) -> None:
    ended, secret = strangers[wrong]
    assert ended.exit_code == 1
    for words in WRONG[wrong]:
        assert words in ended.failure
    assert secret not in ended.output


def name_of(right: Right) -> str:
    return f"{right.operation} on {right.kind} {right.name}"


@pytest.fixture(scope="module")
def deprived(
    secure_kafka: SecureKafka,
    readings: str,
    small_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, tuple[Ended, Right]]:
    """For each listed right, how a daemon ended that had all others.

    Describe stays, so that what is missing is met where it is needed.
    """
    folder = tmp_path_factory.mktemp("deprived")
    attempts, missing = [], []
    for number, lacking in enumerate(LISTED):
        topics, user = new_topics(readings), f"deprived-{number}"
        rights = [resolve(right, topics) for right in LISTED if right != lacking]
        missing.append(resolve(lacking, topics))
        if lacking.operation in {"Read", "Write"}:
            rights.append(replace(missing[-1], operation="Describe"))
        if lacking.operation != "Create":
            create_owned(secure_kafka, topics)
        way = find_way(secure_kafka, "password", user)
        secure_kafka.grant(user, rights)
        config = make_config(folder, secure_kafka.broker, topics, small_bundle, way.settings)
        attempts.append(Attempt(config=config, environment=way.environment()))
    ended = zip(run_all(attempts), missing, strict=True)
    return dict(zip(map(name_of, LISTED), ended, strict=True))


def create_owned(kafka: SecureKafka, topics: Topics) -> None:
    """Create the topics that a daemon would make."""
    for name in (topics.alerts, topics.dead_letters, topics.late):
        kafka.broker.create_topic(name)
    kafka.broker.create_topic(f"{topics.group}-changelog", config={"cleanup.policy": "compact"})


@pytest.mark.parametrize("lacking", [name_of(right) for right in LISTED])
def test_a_right_that_is_missing_is_named(
    deprived: Mapping[str, tuple[Ended, Right]], lacking: str
) -> None:
    ended, missing = deprived[lacking]
    assert ended.exit_code == 1
    named = re.search(r"needs ([\w ]+) on (topic|group|transactional id) '([^']+)'", ended.failure)
    assert named is not None, ended.failure
    assert missing.operation in named[1].split()
    assert named[2] == missing.kind
    assert named[3].startswith(missing.name) if missing.is_prefix else named[3] == missing.name
