"""How many requests a server is given at once: bounds, growth under success, backing off, giving up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from captioning.backends._pace import FIRST, GIVEN_UP, Gate, Pace
from media.errors import BackendError


def round_trip(pace: Pace) -> None:
    """Send as many as may be sent, and have them all answered well."""
    for ticket in [pace.start() for _ in range(pace.limit - pace.in_flight)]:
        pace.succeeded(ticket)


def strain(pace: Pace, wait_s: float = 0.0) -> None:
    pace.failed(pace.start(), 0.0, strains=True, wait_s=wait_s)


class Books(RuleBasedStateMachine):
    """Any order of events keeps the books straight."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.most = 20
        self.pace = Pace(self.most)
        self.out = 0
        self.asked_until = 0.0

    @rule(seconds=st.floats(0, 10))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=tickets)
    def send(self) -> Any:
        if not self.pace.may_start(self.now):
            return multiple()
        assert self.out < self.pace.limit
        assert self.now >= self.asked_until
        self.out += 1
        return self.pace.start()

    @rule(ticket=consumes(tickets))
    def succeed(self, ticket: int) -> None:
        before = self.pace.limit
        self.pace.succeeded(ticket)
        self.out -= 1
        assert before <= self.pace.limit <= before + 1

    @rule(ticket=consumes(tickets), heard=st.booleans())
    def fail(self, ticket: int, heard: bool) -> None:
        before = self.pace.limit
        self.pace.failed(ticket, self.now, heard=heard)
        self.out -= 1
        assert self.pace.limit == before or (not heard and before // 2 <= self.pace.limit < before)

    @rule(ticket=consumes(tickets), wait_s=st.floats(0, 30))
    def be_strained(self, ticket: int, wait_s: float) -> None:
        before = self.pace.limit
        self.pace.failed(ticket, self.now, strains=True, wait_s=wait_s)
        self.out -= 1
        self.asked_until = max(self.asked_until, self.now + wait_s)
        assert before // 2 <= self.pace.limit <= before
        assert self.pace.wait_s(self.now) >= wait_s - 1e-6

    @rule()
    def give_up(self) -> None:
        self.pace.gave_up("dead")
        self.pace.try_again(self.now)

    @invariant()
    def bounds_hold(self) -> None:
        assert 1 <= self.pace.limit <= self.most
        assert self.pace.in_flight == self.out


TestBooks = Books.TestCase


@pytest.mark.parametrize(("most", "first"), [(1, 1), (5, 5), (64, FIRST), (4096, FIRST)])
def test_it_starts_small(most: int, first: int) -> None:
    assert Pace(most).limit == first


def test_it_doubles_until_the_first_strain_then_grows_by_one_a_round_trip() -> None:
    pace = Pace(1000)
    round_trip(pace)
    assert pace.limit == 2 * FIRST
    round_trip(pace)
    assert pace.limit == 4 * FIRST
    strain(pace)
    assert pace.limit == 2 * FIRST
    for more in range(1, 6):
        round_trip(pace)
        assert 2 * FIRST + more - 1 <= pace.limit <= 2 * FIRST + more


@given(st.integers(1, 300), st.integers(0, 40))
def test_under_success_it_only_grows_and_stays_within(most: int, rounds: int) -> None:
    pace, before = Pace(most), 0
    for _ in range(rounds):
        assert before <= pace.limit <= most
        before = pace.limit
        round_trip(pace)


@given(st.integers(2, 200), st.integers(1, 12))
def test_each_round_trip_of_strain_halves_once(most: int, rounds: int) -> None:
    pace = Pace(most, first=most)
    for _ in range(rounds):
        before = pace.limit
        for ticket in [pace.start() for _ in range(before)]:
            pace.failed(ticket, 0.0, strains=True)
        assert pace.limit == max(1, before // 2) or pace.limit == max(1, (before + 1) // 2)
        assert pace.limit < before or before == 1


def test_answers_to_what_was_sent_before_the_cut_do_not_cut_again() -> None:
    pace = Pace(8)
    early = [pace.start() for _ in range(8)]
    pace.failed(early[0], 0.0, strains=True)
    late = pace.start()
    for ticket in early[1:]:
        pace.failed(ticket, 0.0, strains=True)
    assert pace.limit == 4
    pace.failed(late, 0.0, strains=True)
    assert pace.limit == 2


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    pace = Pace(100)
    for _ in range(50):
        pace.succeeded(pace.start())
    assert pace.limit == FIRST


def test_nobody_sends_before_the_server_wants() -> None:
    pace = Pace(8)
    strain(pace, wait_s=5.0)
    assert not pace.may_start(4.9)
    assert pace.wait_s(1.0) == 4.0
    assert pace.may_start(5.0)
    strain(pace, wait_s=1.0)  # a shorter wait does not cut a longer one short
    assert pace.wait_s(1.0) == 4.0


def test_a_round_trip_of_silence_makes_all_wait_and_a_word_between_does_not() -> None:
    pace = Pace(8)
    tickets = [pace.start() for _ in range(8)]
    for ticket in tickets[:7]:
        pace.failed(ticket, 0.0, heard=False, backoff_s=3.0)
    assert (pace.limit, pace.wait_s(0.0)) == (8, 0.0)
    pace.failed(tickets[7], 0.0, heard=False, backoff_s=3.0)
    assert (pace.limit, pace.wait_s(0.0)) == (4, 3.0)
    for ticket in [pace.start() for _ in range(4)]:
        pace.failed(ticket, 5.0, heard=False, backoff_s=6.0)
    assert (pace.limit, pace.wait_s(5.0)) == (2, 6.0)
    one, other = pace.start(), pace.start()
    pace.failed(one, 20.0, backoff_s=9.0)
    pace.failed(other, 20.0, heard=False, backoff_s=9.0)
    assert (pace.limit, pace.wait_s(20.0)) == (2, 0.0)


def test_so_many_that_gave_up_in_silence_open_the_circuit() -> None:
    pace = Pace(8)
    for _ in range(GIVEN_UP - 1):
        pace.gave_up("nothing")
    pace.failed(pace.start(), 0.0)  # a word from the server, be it an error
    for _ in range(GIVEN_UP - 1):
        pace.gave_up("nothing")
    assert pace.dead is None
    pace.failed(pace.start(), 0.0, heard=False)
    pace.gave_up("nothing")
    assert pace.dead == "nothing"
    assert not pace.may_start(1e9)


def test_after_a_death_one_request_decides() -> None:
    pace = Pace(64)
    pace.die("gone")
    pace.try_again(0.0)
    assert pace.limit == 1
    pace.gave_up("still gone")
    assert pace.dead == "still gone"
    pace.try_again(0.0)
    for _ in range(4):
        round_trip(pace)
    assert pace.limit == 16


def test_a_death_may_be_certain_for_a_while() -> None:
    pace = Pace(8)
    pace.die("asked to be left alone", until=60.0)
    pace.try_again(59.0)
    assert pace.dead
    pace.try_again(60.0)
    assert pace.may_start(60.0)


# The gate


def test_tasks_wait_for_their_turn_and_those_that_try_again_go_first() -> None:
    async def run() -> list[str]:
        gate, order = Gate(Pace(1)), []

        async def one(name: str, again: bool) -> None:
            ticket = await gate.enter(again=again)
            order.append(name)
            await asyncio.sleep(0)
            gate.succeeded(ticket)

        holder = await gate.enter(again=False)
        async with asyncio.TaskGroup() as group:
            for name in ("a", "b", "again"):
                group.create_task(one(name, name == "again"))
            await asyncio.sleep(0.01)
            assert order == []
            gate.succeeded(holder)
        assert gate.pace.in_flight == 0
        return order

    assert asyncio.run(run()) == ["again", "a", "b"]


def test_all_wait_as_long_as_the_server_wants() -> None:
    async def run() -> float:
        gate = Gate(Pace(4))
        loop = asyncio.get_running_loop()
        gate.failed(await gate.enter(again=False), strains=True, wait_s=0.05)
        began = loop.time()
        await asyncio.gather(*(gate.enter(again=False) for _ in range(2)))
        return loop.time() - began

    assert 0.045 <= asyncio.run(run()) < 1.0


def test_a_death_turns_all_away_at_once_and_ends_their_pauses() -> None:
    async def run() -> None:
        gate = Gate(Pace(1))
        await gate.enter(again=False)
        waiting = [asyncio.create_task(gate.enter(again=False)) for _ in range(3)]
        pausing = asyncio.create_task(gate.pause(60))
        await asyncio.sleep(0.01)
        gate.die("server died: x")
        for task in waiting:
            with pytest.raises(BackendError, match="server died: x"):
                await task
        await asyncio.wait_for(pausing, 1)
        with pytest.raises(BackendError, match="server died: x"):
            await gate.enter(again=True)

    asyncio.run(run())


def test_a_task_that_is_cancelled_leaves_its_place() -> None:
    async def run() -> None:
        gate = Gate(Pace(1))
        holder = await gate.enter(again=False)
        gone = asyncio.create_task(gate.enter(again=False))
        late = asyncio.create_task(gate.enter(again=False))
        await asyncio.sleep(0.01)
        gone.cancel()
        gate.succeeded(holder)
        assert await asyncio.wait_for(late, 1)
        granted = asyncio.create_task(gate.enter(again=False))
        await asyncio.sleep(0)
        gate.failed(late.result())  # hands its place to `granted`, which is cancelled before it runs
        granted.cancel()
        await asyncio.gather(granted, return_exceptions=True)
        assert gate.pace.in_flight == 0

    asyncio.run(run())
