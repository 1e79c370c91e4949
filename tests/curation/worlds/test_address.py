"""A synthetic clip's address is the whole of it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import media
from curation.worlds import WORLDS
from curation.worlds.address import SCHEME, Address, encode_world, parse_address
from media.errors import UserError

values = st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8) | st.lists(st.text(max_size=4))
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name not in {"fps", "frames", "size"})
options = st.dictionaries(names, values, max_size=4)
addresses = st.builds(
    Address,
    st.sampled_from(WORLDS),
    st.integers(0, 2**63 - 1),
    st.integers(1, 4096),
    st.sampled_from([0.5, 8.0, 23.976, 24000 / 1001, 60.0]),
    st.tuples(st.integers(16, 4000), st.integers(16, 4000)),
    options,
)


@given(addresses)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    assert address.uri.startswith(SCHEME)
    assert parse_address(address.uri) == address
    assert not re.search(r"\s", address.uri)


@given(addresses, addresses)
def test_another_clip_has_another_address_and_id(a: Address, b: Address) -> None:
    assert (a == b) == (a.uri == b.uri) == (a.video_id == b.video_id)
    assert re.fullmatch(r"[0-9a-f]{32}", a.video_id)
    assert a.clip_id == f"{a.video_id}:0-{a.frames}"


@given(options)
def test_the_order_of_options_does_not_matter(given_options: dict[str, Any]) -> None:
    turned = dict(reversed(given_options.items()))
    assert Address("shapes", 1, options=given_options).uri == Address("shapes", 1, options=turned).uri


def test_ids_do_not_change() -> None:
    """They are in datasets: the address of a clip is for ever."""
    assert Address("shapes", 17).uri == "world://shapes/17?fps=8&frames=16&size=64x64"
    assert Address("shapes", 17).video_id == media_hash("world://shapes/17?fps=8&frames=16&size=64x64")
    with_options = Address("shapes", 3, 8, 12.0, (48, 80), {"b": [1, 2], "a": "red"})
    assert with_options.uri == "world://shapes/3?fps=12&frames=8&size=48x80&a=%22red%22&b=[1,2]"


def media_hash(text: str) -> str:
    from dataset.shards import media_hash as hashed

    return hashed(text.encode())


@pytest.mark.parametrize(
    "uri", ["clip.mp4", "world://shapes", "world://shapes/x", "world://shapes/1?size=big", "world://shapes/1?a={"]
)
def test_what_is_no_address_is_said(uri: str) -> None:
    with pytest.raises(UserError, match="not the address"):
        parse_address(uri)


def test_an_unknown_world_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean shapes"):
        Address("shape", 1).draw()


def test_an_option_that_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="nonsense"):
        Address("shapes", 1, options={"nonsense": 3}).draw()


@pytest.mark.parametrize("max_height", [None, 32])
def test_a_row_is_encoded_from_its_address_alone(max_height: int | None) -> None:
    address = Address("shapes", 5, 4, 8.0, (48, 64))
    made = encode_world({"uri": address.uri, "fps": 8.0, "height_px": 48}, max_height=max_height, crf=6)
    assert isinstance(made, media.Encoded)
    seen = np.stack(media.decode_bytes(made.data))
    drawn = np.stack(list(address.pictures()))
    assert seen.shape == ((4, 48, 64, 3) if max_height is None else (4, 32, 44, 3))
    if max_height is None:
        assert np.abs(seen.astype(int) - drawn).mean() < 4
