"""Options: refused at the start with their name, place and reason; otherwise from file, environment and command line, the last wins."""
import os
import re
import socket
import subprocess

import pytest

from ess import BUILD, ENVIRONMENT

PROGRAMS = ["ess-ingest", "ess-dispatcher"]


def run(program, *arguments, **environment):
    """A run that must end by itself."""
    return subprocess.run([BUILD / program, *arguments], env=ENVIRONMENT | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("argument, said", [
    ("--nonsense=1", "nonsense"), ("--ingest.listn=127.0.0.1:0", "did you mean ingest.listen"), ("nonsense", "nonsense"), ("--kafka.prefix", "needs a value"),
    ("--ingest.max_event=many", "ingest.max_event: 'many' is not a size"), ("--ingest.max_event=2GiB", "ingest.max_event: must be from"),
    ("--delivery.timeout=15", "delivery.timeout: '15' is not a duration"), ("--delivery.timeout=0s", "delivery.timeout: must be from"),
    ("--delivery.max_attempts=0", "delivery.max_attempts: must be from"), ("--delivery.max_attempts=ten", "is not a whole number"),
    ("--log.level=loud", "log.level: must be debug, info, warn or error"), ("--auth.insecure=perhaps", "is not true or false"),
    ("--egress.allow=10.0.0.0/33", "egress.allow: "), ("--egress.allow=10.0.0.0/8,nowhere", "egress.allow: "), ("--kafka.prefix=a/b", "kafka.prefix: "),
    ("--kafka.rdkafka.acks=1", "kafka.rdkafka.acks: ESS depends on"), ("--kafka.rdkafka.no.such=1", "kafka.rdkafka.no.such: "),
    ("--ingest.listen=0.0.0.0:0", "ingest.listen: 0.0.0.0:0 is not a loopback"), ("--dispatcher.listen=[::]:0", "dispatcher.listen: "),
    ("--delivery.backoff_max=10ms", "delivery.backoff_max: must not be below"), ("--kafka.replication_factor=0", "must be -1"),
    ("--config=/no/such/file.yml", "/no/such/file.yml"),
])
def test_a_bad_option_is_refused_with_exit_status_2(program, argument, said):
    done = run(program, argument)
    assert done.returncode == 2 and said in done.stderr.replace('\\"', '"'), done
    assert re.fullmatch(r"ts=\S+ level=error event=bad_option reason=.*\n", done.stderr)


@pytest.mark.parametrize("text, said", [
    ("kafka:\n  brokrs: x\n", ":2: "), ("nonsense: 1\n", ":1: "), ("kafka:\n  prefix: ess\nkafka.prefix: ess\n", ":3: "), ("kafka: {prefix: a/b}\n", ":1: "),
    ("delivery:\n  timeout: [1, 2]\n", ":2: "), ("kafka:\n  - x\n", ":2: "), ("log.level: &x info\n", ":1: "), ("kafka: [\n", ":2: "), ("text\n", ":1: "),
])
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "ess.yml"
    path.write_text(text)
    done = run("ess-ingest", f"--config={path}")
    assert done.returncode == 2 and f"{path}{said}" in done.stderr, done


def test_a_bad_environment_variable_is_refused_and_an_unknown_one_warned_of():
    done = run("ess-ingest", ESS_INGEST_MAX_EVENT="many")
    assert done.returncode == 2 and "ESS_INGEST_MAX_EVENT: 'many'" in done.stderr
    done = run("ess-ingest", "--log.level=loud", ESS_NO_SUCH="1")
    assert "level=warn event=unknown_variable name=ESS_NO_SUCH" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_lists_every_option_with_its_default_and_version_the_version(program):
    done = run(program, "--help")
    assert done.returncode == 0 and done.stderr == ""
    for option, default in {"kafka.brokers": "127.0.0.1:9092", "ingest.max_event": "256KiB", "delivery.disable_after": "5d", "egress.allow": "none"}.items():
        assert re.search(rf"--{re.escape(option)}=.*default {re.escape(default)}", done.stdout), option
    done = run(program, "--version")
    assert done.returncode == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", done.stdout)


def test_command_line_wins_over_environment_over_file(tmp_path):
    """Told by which of three addresses cannot be bound."""
    path = tmp_path / "ess.yml"
    path.write_text("ingest:\n  listen: 127.0.0.1:1111\nauth.insecure: true\n")
    listen = "192.0.2.1"  # of a network for documentation: no machine has it
    done = run("ess-ingest", f"--config={path}", f"--ingest.listen={listen}:3", ESS_INGEST_LISTEN=f"{listen}:2")
    assert f"{listen}:3" in done.stderr and done.returncode == 1
    done = run("ess-ingest", ESS_CONFIG=str(path), ESS_INGEST_LISTEN=f"{listen}:2")
    assert f"{listen}:2" in done.stderr and done.returncode == 1
    path.write_text(f"ingest.listen: {listen}:1\nauth: {{insecure: true}}\n")
    done = run("ess-ingest", f"--config={path}")
    assert f"{listen}:1" in done.stderr and done.returncode == 1


@pytest.mark.parametrize("program, option", [("ess-ingest", "ingest.listen"), ("ess-dispatcher", "dispatcher.listen")])
def test_a_port_that_is_taken_is_named_with_exit_status_1(program, option):

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(program, f"--{option}={address}")
    assert done.returncode == 1 and address in done.stderr and "taken" in done.stderr


def test_a_ca_file_that_cannot_be_read_is_named():
    done = run("ess-dispatcher", "--egress.ca_file=/no/such.pem")
    assert done.returncode == 1 and "/no/such.pem" in done.stderr


def test_ipv6_loopback_can_be_listened_on(ess):
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    assert ess.ingest({"ingest.listen": "[::1]:0"}).get("/healthz").status == 200
