"""A guard's work in a running node: in the order in which it was planned, whoever asks for it."""

import asyncio

from tests.protection.neighborhood import NAMES, neighborhood, send_of, state_of, terms_of

from gossipfl.core.events import Heard, Summed
from gossipfl.errors import MessageError
from gossipfl.net.events import Delivered
from gossipfl.node.mail import Mail
from gossipfl.protection.letters import ROSTER, SHARE, Letter
from gossipfl.state import AdapterState


async def test_what_waited_for_keys_is_made_before_it_is_sent_again() -> None:
    there = neighborhood()
    guard, state = there.guards["a"], state_of(terms_of("a"), 0)
    posted: list[Letter] = []
    told: list[Heard | Summed[AdapterState]] = []
    refused: list[MessageError] = []
    mail = Mail(guard, post=posted.append, tell=told.append, reject=refused.append)
    there.passes = lambda _, letter: None if letter.kind == ROSTER and letter.to == "a" else letter
    there.meet()
    held = [(who, letter) for who, letter in there.seen if letter.kind == ROSTER and letter.to == "a"]
    await mail.publish([send_of(name, state) for name in NAMES[1:]], lambda: None)
    assert posted == []
    working = asyncio.create_task(mail.work())
    await asyncio.sleep(0)
    # keys come, and before the worker has its turn a link comes up and the same is published again
    for who, letter in held:
        mail.take(Delivered(who, letter), 0)
    logged: list[str] = []
    await mail.publish([send_of("b", state)], lambda: logged.append("log"))
    shares = [letter for letter in posted if letter.kind == SHARE]
    assert sorted(letter.to for letter in shares) == ["b", "b", "c", "d"]
    assert len({bytes(letter.content) for letter in shares if letter.to == "b"}) == 1
    assert logged == ["log"]
    assert refused == []
    working.cancel()


async def test_letters_that_make_no_sense_are_counted_and_hurt_nobody() -> None:
    there = neighborhood()
    refused: list[MessageError] = []
    mail = Mail(there.guards["a"], post=lambda _: None, tell=lambda _: None, reject=refused.append)
    mail.take(Delivered("b", Letter(ROSTER, "a", b"\xff\xff")), 0)
    mail.take(Delivered("b", Letter("nonsense", "a", b"x")), 0)
    assert [error.reason for error in refused] == ["keys", "protection"]
