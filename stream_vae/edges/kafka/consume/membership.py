"""Whether this member has joined the group, even without partitions."""

import struct

_PREFIX = b"CGMDv2:"


def is_member(group_metadata: object) -> bool:
    """Return whether the client's group metadata is that of a joined member.

    The client reports only assignments with partitions: in the protocol `consumer` (KIP-848) a
    member without partitions gets no callback. But its serialised group metadata starts with the
    generation, or member epoch: negative at first, 0 while the group refuses it, positive once it
    has joined. Asking the brokers instead needs an administrative call, during which librdkafka can
    abort the process if the network fails (its issue 4605).

    Args:
        group_metadata: False for an unknown format.

    >>> [is_member(_PREFIX + struct.pack("=i", epoch)) for epoch in (-1, 0, 1)]
    [False, False, True]
    """
    if not isinstance(group_metadata, bytes) or not group_metadata.startswith(_PREFIX):
        return False
    generation: int = struct.unpack_from("=i", group_metadata, len(_PREFIX))[0]
    return generation > 0
