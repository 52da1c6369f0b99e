"""Where the page may listen, and under which names it answers."""

from typing import Any

import pytest

from heart2heart.annotate.settings import AnnotationSettings
from heart2heart.errors import ConfigError

OPEN = {"bind": "192.0.2.1", "raters": "raters.json", "certificate": "c.pem", "private_key": "k.pem"}


def _settings(**changes: Any) -> AnnotationSettings:
    return AnnotationSettings.parse(changes, where="test")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bind": "192.0.2.1"}, "each rater needs a token"),
        ({"bind": "192.0.2.1", "raters": "r"}, "unencrypted"),
        (OPEN | {"bind": "0.0.0.0"}, "--name"),
        (OPEN | {"private_key": None}, "private key together"),
        ({"bind": "example.org"}, "bind"),
        ({"double": 1.5}, "double"),
        ({"modes": ("b_mode", "x_ray")}, "modes.1: Input should be 'b_mode'"),
        ({"modes": ()}, "modes: Tuple should have at least 1 item"),
        ({"port": 70000}, "port"),
    ],
)
def test_annotation_settings_refuse_unsafe_values(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        _settings(**changes)


def test_hosts_are_the_accepted_names() -> None:
    assert _settings(bind="localhost").hosts(81) == {"127.0.0.1:81", "localhost:81", "[::1]:81"}
    assert _settings(bind="::1").is_local
    far = _settings(**OPEN | {"bind": "0.0.0.0", "names": ("Echo.Example",)})
    assert far.hosts(8443) == {"0.0.0.0:8443", "echo.example:8443"}
    assert "echo.example" in far.hosts(443)
    assert (far.scheme, far.is_local) == ("https", False)
    plain = _settings(bind="192.0.2.1", raters="r", allow_http=True)
    assert plain.hosts(80) == {"192.0.2.1:80", "192.0.2.1"}
    assert plain.scheme == "http"
