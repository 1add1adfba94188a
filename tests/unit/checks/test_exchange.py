"""exchange: what is remembered of the URLs that servers lead to."""

import tracemalloc

from agent.checks.exchange import Request, _head, parts


def test_a_server_that_redirects_to_ever_other_long_urls_takes_no_room() -> None:
    """16 kB of header are its to fill, at every look, for months."""
    tracemalloc.start()
    try:
        for number in range(1_500):
            url = f"http://web1.example.org/{number}/{'x' * 15_000}"
            _head(Request(method="GET", url=url, headers={}), parts(url))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 10_000_000


def test_the_usual_url_is_taken_apart_once() -> None:
    assert parts("http://web1.example.org/health") is parts("http://web1.example.org/health")
