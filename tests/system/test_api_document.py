"""docs/api.md: each of its commands, run as a reader would, in its order."""
from ess import ROOT
from snippets import snippets
from test_auth import ENDPOINTS

DOCUMENT = "docs/api.md"


def test_every_command_of_the_page_works(ess):
    address = f"http://{ess.ingest().address}"
    own = {"http://127.0.0.1:8080": address, "$ESS": address, "curl -sS": "curl -fsS"}  # -f: what is no success fails
    said = "".join(snippet.run(own) for snippet in snippets(DOCUMENT))
    for expected in ('"cursor":1', '"results":[', '"events":[', '"more":false', "id: 1\ndata: ", '"whsec":', '"generation":', '"dead_letters":[]',
                     '"status":"ready"', "ess_feed_cursor ", '"openapi": "3.1.0"'):
        assert expected in said, expected


def test_every_call_is_on_the_page():
    page = (ROOT / DOCUMENT).read_text()
    missing = [path for _, path in ENDPOINTS if path.split("{id}")[-1].split("{job}")[0] not in page]
    assert not missing
