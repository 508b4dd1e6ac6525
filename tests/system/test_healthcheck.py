"""The images' health check, against the programs themselves: other ports, TLS, and Kafka away."""
import os
import subprocess

import pytest

from ess import ROOT, free_port


def healthy(*words, **environment):
    return subprocess.run([ROOT / "deploy/healthcheck", *words], env={"PATH": os.environ["PATH"], **environment}, timeout=20).returncode == 0


@pytest.mark.parametrize("tls", [False, True])
def test_it_asks_whether_the_program_lives_at_its_own_port_with_and_without_tls(ess, tls):
    port, (certificate, key) = free_port(), ess.ca.certificate()
    options = {"ingest.tls_certificate": certificate, "ingest.tls_key": key} if tls else {}
    nowhere = f"127.0.0.1:{free_port()}"
    ingest = ess.ingest({"ingest.listen": f"127.0.0.1:{port}", "kafka.brokers": nowhere, **options}, start=False)
    assert not healthy("ESS_INGEST_LISTEN", str(port))
    ingest.start(ready=False)
    assert healthy("ESS_INGEST_LISTEN", str(port))  # Kafka is away, but it lives
    assert healthy("ESS_INGEST_LISTEN", "1", ESS_INGEST_LISTEN=f"0.0.0.0:{port}")
    assert healthy("-", str(port))
    assert not healthy("ESS_INGEST_LISTEN", "1")


def test_a_program_that_answers_nothing_is_not_healthy(ess):
    ingest = ess.ingest(ready=False)
    ingest.signal(19)  # SIGSTOP; the end continues it
    assert not healthy("-", ingest.address.rsplit(":", 1)[1])
