"""The Redis server that tests start."""

from tests.services.redis import redis_server


def test_it_can_be_killed_and_started_again_on_its_port() -> None:
    """After a restart it answers at the same URL, and knows nothing of before."""
    with redis_server() as server:
        assert server.command("SET", "name", "value") == "+OK"
        assert server.command("EXISTS", "name") == ":1"
        server.restart()
        assert server.command("EXISTS", "name") == ":0"
        process = server.process
    assert process.poll() is not None
