import pytest

from gossipfl.core.codecs import CODECS
from gossipfl.core.mixing import MIXINGS
from gossipfl.core.protocols import PROTOCOLS
from gossipfl.core.tables import resolve
from gossipfl.errors import ConfigError


def test_a_known_name_gives_its_entry() -> None:
    assert resolve({"ring": 1, "star": 2}, "star", field="topology.kind") == 2


def test_module_and_callable_are_imported() -> None:
    assert resolve({}, "math:hypot", field="f")(3, 4) == 5
    assert resolve({}, "collections:OrderedDict.fromkeys", field="f")("a") == {"a": None}


def test_an_unknown_name_names_field_nearest_name_and_all_names() -> None:
    with pytest.raises(
        ConfigError, match=r"^gossip\.protocol: 'wait-free' is unknown; did you mean 'wait_free'\?.*sync"
    ):
        resolve(PROTOCOLS, "wait-free", field="gossip.protocol")


@pytest.mark.parametrize("name", ["no_such_module:f", "math:no_such", "math:pi", ":f", "math:", "math:hypot.x"])
def test_what_cannot_be_imported_or_called_is_one_line(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        resolve({}, name, field="gossip.mixing")
    message = str(raised.value)
    assert message.startswith("gossip.mixing: ")
    assert name in message
    assert "\n" not in message


def test_the_defaults_of_the_configuration_are_in_their_tables() -> None:
    assert "wait_free" in PROTOCOLS
    assert "weighted" in MIXINGS
    assert "fp32" in CODECS
