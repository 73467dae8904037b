"""Receivers of alert events over HTTP."""
