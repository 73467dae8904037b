"""Whether the group counts this member in, be it without partitions."""

import struct

_PREFIX = b"CGMDv2:"


def is_member(group_metadata: object) -> bool:
    """Tell whether a membership, as the client hands it to a transaction, is of a joined member.

    The client tells of an assignment only where there is one to tell of: in the protocol `consumer`
    (KIP-848) a member without partitions hears nothing. But it writes its membership down as text
    that begins with the generation, or member epoch: that is negative at first, 0 while the group
    refuses it, and more once it has joined. To ask the brokers instead takes an administrative
    call, during which librdkafka can abort the process if the network fails (its issue 4605).

    Args:
        group_metadata: Of another form than is known: nothing is told.

    >>> [is_member(_PREFIX + struct.pack("=i", epoch)) for epoch in (-1, 0, 1)]
    [False, False, True]
    """
    if not isinstance(group_metadata, bytes) or not group_metadata.startswith(_PREFIX):
        return False
    generation: int = struct.unpack_from("=i", group_metadata, len(_PREFIX))[0]
    return generation > 0
