"""Window models beside the network: each expects a window, and they are scored together.

To add one: write a `Member` and put it into `MEMBERS`. `train` then fits it, bundles store its
tensors, and the score `fused` takes it in where `training.members` names it.
"""

from stream_vae.models.members.components import Components
from stream_vae.models.members.member import Member
from stream_vae.models.members.memory import Memory

MEMBERS: dict[str, type[Member]] = {member.name: member for member in (Memory, Components)}
"""Every member by name, except the network itself."""
