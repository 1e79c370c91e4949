"""Licences as SPDX spells them."""

from __future__ import annotations

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

__all__ = ["spdx"]


def spdx(license: str) -> str | None:
    """Return an SPDX identifier or expression as SPDX spells it; None for other text."""
    try:
        return str(canonicalize_license_expression(license))
    except InvalidLicenseExpression:
        return None
