"""Channels: which ones of a graph are coupled, and which can be removed. Pruning and shrinking build on this."""

from tfopt.channels._absorb import with_bias
from tfopt.channels._channels import FOLLOWERS, MADE, READ, Channels, Group, Sizes, Slot
from tfopt.channels._groups import channel_groups
from tfopt.channels._layer_norm import PartialLayerNormalization
from tfopt.channels._leftovers import Leftovers, exactly_removable, leftovers
from tfopt.channels._register import register_channels
from tfopt.channels._rule import ATTRIBUTE as CHANNEL_RULE
from tfopt.channels._rule import ChannelRule
from tfopt.channels._rules import CHANNEL_RULES, rule_of
from tfopt.channels._rules_with_weights import channel_axis

__all__ = [
    "CHANNEL_RULE",
    "CHANNEL_RULES",
    "FOLLOWERS",
    "MADE",
    "READ",
    "ChannelRule",
    "Channels",
    "Group",
    "Leftovers",
    "PartialLayerNormalization",
    "Sizes",
    "Slot",
    "channel_axis",
    "channel_groups",
    "exactly_removable",
    "leftovers",
    "register_channels",
    "rule_of",
    "with_bias",
]
