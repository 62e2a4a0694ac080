"""Channels: which ones of a graph are coupled, and which can be removed. Pruning and shrinking build on this."""

from tfopt.channels._channels import MADE, Channels, Group, Sizes, Slot
from tfopt.channels._groups import channel_groups
from tfopt.channels._layer_norm import PartialLayerNormalization
from tfopt.channels._rules import CHANNEL_RULES, ChannelRule, rule_of
from tfopt.channels._rules_with_weights import channel_axis

__all__ = [
    "CHANNEL_RULES",
    "MADE",
    "ChannelRule",
    "Channels",
    "Group",
    "PartialLayerNormalization",
    "Sizes",
    "Slot",
    "channel_axis",
    "channel_groups",
    "rule_of",
]
