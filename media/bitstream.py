"""The few bits of a compressed picture that tell whether it starts cleanly, is shown at all, and is needed by others.

Sources: H.264 7.3.1 and table 7-1; H.265 7.3.1.2 and table 7-1; VP8 RFC 6386 9.1; VP9 6.2 and annex B. An AV1 temporal
unit holds exactly one shown frame (7.5), and its keyframes as libav flags them start a sequence, so it needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av
    from av.packet import Packet

__all__ = ["droppable", "starts_clean", "temporal_layer", "unit_doubt"]

_H264_IDR = 5
_HEVC_BLA, _HEVC_CLEAN = {16, 17, 18}, {19, 20, 21}
_HEVC_END = {36, 37}
_HEVC_SLICES = range(32)
_HEVC_NON_REFERENCE = range(0, 15, 2)
_H264_SLICES = range(1, 6)


def starts_clean(codec: str, packet: Packet[av.VideoStream], extradata: bytes) -> bool:
    """Tell whether all that is shown from this keyframe on can be decoded without anything before it.

    An H.264 keyframe that is no IDR picture may be a recovery point in the midst of an intra refresh: not clean.
    After an HEVC IDR or CRA picture no later-shown picture may look back past it.
    """
    if codec == "h264":
        return any(unit[0] & 31 == _H264_IDR for unit in _units(packet, extradata, "h264"))
    if codec == "hevc":
        return any(unit[0] >> 1 & 63 in _HEVC_CLEAN for unit in _units(packet, extradata, "hevc"))
    return True


def unit_doubt(codec: str, packet: Packet[av.VideoStream], extradata: bytes) -> str:
    """Say why this packet might not give exactly one picture; empty when it does."""
    if codec == "hevc":
        kinds = {unit[0] >> 1 & 63 for unit in _units(packet, extradata, "hevc")}
        return "a splice in the HEVC stream" if kinds & (_HEVC_BLA | _HEVC_END) else ""
    if codec == "vp8":
        return "" if memoryview(packet)[0] >> 4 & 1 else "a hidden VP8 frame"
    if codec == "vp9":
        return "" if _vp9_shows(memoryview(packet)) else "a hidden VP9 frame"
    return ""


def droppable(codec: str, packet: Packet[av.VideoStream], extradata: bytes) -> bool:
    """Tell whether no other picture of its temporal layer is predicted from this one: it need not be decoded for them.

    H.264: nal_ref_idc is 0. HEVC: a sub-layer non-reference picture; only one of the highest layer there is may really
    be left out (`temporal_layer`). Of other codecs none is.
    """
    if codec == "h264":
        # All slices of a picture agree (7.4.1), so the first tells.
        header = next((unit[0] for unit in _units(packet, extradata, codec) if unit[0] & 31 in _H264_SLICES), 0x60)
        return not header >> 5 & 3
    if codec == "hevc":
        kinds = [unit[0] >> 1 & 63 for unit in _units(packet, extradata, codec)]
        slices = [kind for kind in kinds if kind in _HEVC_SLICES]
        return bool(slices) and all(kind in _HEVC_NON_REFERENCE for kind in slices)
    return False


def temporal_layer(codec: str, packet: Packet[av.VideoStream], extradata: bytes) -> int:
    """Return the temporal layer of a picture of HEVC (H.265 7.4.2.2); 0 for other codecs."""
    if codec != "hevc":
        return 0
    layers = [(unit[1] & 7) - 1 for unit in _units(packet, extradata, codec) if unit[0] >> 1 & 63 in _HEVC_SLICES]
    return max(layers, default=0)


def _vp9_shows(data: memoryview) -> bool:
    if data[-1] >> 5 == 0b110:
        return True  # a superframe: hidden frames with the one that is shown
    first = data[0]
    after = 5 if first >> 4 & 3 == 3 else 4  # profile 3 has one more reserved bit
    if first >> (7 - after) & 1:
        return True  # show_existing_frame
    return bool(first >> (7 - after - 2) & 1)


def _units(packet: Packet[av.VideoStream], extradata: bytes, codec: str) -> Iterator[bytes]:
    """Yield the first two bytes of each NAL unit, with length prefixes as MP4 and Matroska have them."""
    data = memoryview(packet)
    place = 4 if codec == "h264" else 21
    if len(extradata) <= place or extradata[0] != 1:
        yield from _start_coded(bytes(data))
        return
    width = (extradata[place] & 3) + 1
    at = 0
    while at + width < len(data):
        length = int.from_bytes(data[at : at + width], "big")
        at += width
        if length:
            yield bytes(data[at : at + 2])
        at += length


def _start_coded(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\0\0\1")
    while at >= 0 and at + 4 < len(data):
        yield data[at + 3 : at + 5]
        at = data.find(b"\0\0\1", at + 3)
