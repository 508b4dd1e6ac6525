"""The key file: made once, by whichever ingest is first."""


def test_ingests_that_start_at_once_share_the_key_file_that_one_of_them_makes(ess):
    ingests = [ess.ingest(ready=False) for _ in range(3)]
    for ingest in ingests:
        ingest.wait_ready()
    assert sum(len(ingest.lines("key_file_made")) for ingest in ingests) == 1
    ess.dispatcher()
    receiver = ess.receiver()
    ess.subscribe("md-mm1", receiver, ["drug.copay"])
    cursors = [ess.publish("drug.copay", {"n": n}, ingest) for n, ingest in enumerate(ingests)]
    receiver.wait(3)
    assert receiver.cursors() == cursors
