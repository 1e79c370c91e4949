"""Rendered worlds: pictures whose every pixel we made ourselves, so that nothing about them has to be guessed."""
