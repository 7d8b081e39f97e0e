"""Packages of others, as they are on PyPI, doing with Velithon what they do with FastAPI.

Each file in `packages/` is an application as FastAPI's users write it, with the tests that its author would write. It
runs in five ways: with FastAPI, which shows that the test is right; with its imports changed, over ASGI and over RSGI;
and unchanged with `velithon.compat.install()`, over both.
"""
