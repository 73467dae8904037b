"""Settings of the health and metrics endpoint."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MinLen


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Address of the HTTP endpoint for probes and Prometheus."""

    enabled: bool = True
    """Serve `/livez`, `/readyz`, `/statusz` and `/metrics`."""

    host: Annotated[str, MinLen(1)] = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a container. There is no authentication."""

    port: Annotated[int, Ge(0), Le(65535)] = 8080
    """TCP port; 0 selects a free one."""

    liveness_timeout_s: Annotated[float, Gt(0), Le(1e9)] = 60.0
    """`/livez` fails when the poll loop or the worker has had no heartbeat for this time."""
